"""Decisions: abstain, answer, several, disagree; and explanations with what-if."""

import numpy as np
import pytest

from reliability.calibration import fit_calibrator
from reliability.decision import DecisionConfig, Vote, decide, vote_weight
from reliability.errors import InvalidObservation
from reliability.explanation import explain
from reliability.families.find import find_families
from reliability.families.types import Passage
from reliability.observations import Observation, ObservationLog
from reliability.types import BetaPosterior

GOOD, FAIR, BAD = BetaPosterior(90, 10), BetaPosterior(6, 4), BetaPosterior(2, 18)
POSTERIORS = {1: GOOD, 2: GOOD, 3: FAIR, 4: FAIR, 5: BAD}


def vote(source: int, answer: str, family: int | None = None, **more: object) -> Vote:
    number = source if family is None else family
    return Vote(source, source, number, answer, **more)  # type: ignore[arg-type]


def test_nothing_aligned_is_abstaining() -> None:
    assert decide([], POSTERIORS).kind == "abstain"
    assert decide([vote(1, "a", alignment=0.0)], POSTERIORS).kind == "abstain"


def test_two_families_answer() -> None:
    decision = decide([vote(1, "a"), vote(2, "a"), vote(5, "b")], POSTERIORS)
    assert decision.kind == "answer"
    assert decision.answers[0].answer == "a"
    assert decision.answers[0].families == (1, 2)
    assert not decision.is_calibrated


def test_one_family_answers_only_if_its_source_is_known_to_be_good() -> None:
    assert decide([vote(1, "a")], POSTERIORS).kind == "answer"
    assert decide([vote(3, "a")], POSTERIORS).kind == "low_support"
    assert decide([vote(99, "a")], POSTERIORS).kind == "low_support"


def test_copies_are_one_family_however_many() -> None:
    copies = [vote(source, "a", family=7) for source in (3, 4, 98, 99)]
    decision = decide([*copies, vote(1, "b"), vote(2, "b")], POSTERIORS)
    assert decision.answers[0].answer == "b"


def test_equal_sides_disagree_and_both_are_shown() -> None:
    decision = decide([vote(1, "a"), vote(2, "b")], POSTERIORS)
    assert decision.kind == "disagree"
    assert {belief.answer for belief in decision.answers} == {"a", "b"}
    assert decision.answers[0].wording == "contested"


def test_a_source_does_not_disagree_with_itself() -> None:
    decision = decide([vote(1, "a"), vote(1, "b")], POSTERIORS)
    assert (decision.kind, len(decision.answers)) == ("low_support", 1)


def test_a_written_answer_is_what_is_decided_about() -> None:
    votes = [vote(3, "b"), vote(4, "a"), vote(99, "c")]
    first = {stated: decide(votes, POSTERIORS, DecisionConfig(stated=stated)) for stated in "abc"}
    assert all(decision.answers[0].answer == stated for stated, decision in first.items())
    beaten = decide(
        [vote(1, "a"), vote(2, "a"), vote(5, "b")], POSTERIORS, DecisionConfig(stated="b")
    )
    assert (beaten.kind, [b.answer for b in beaten.answers]) == ("disagree", ["b", "a"])
    unheard = decide(votes[:1], POSTERIORS, DecisionConfig(stated="d"))
    assert [b.answer for b in unheard.answers] == ["b"]


def test_senses_do_not_compete() -> None:
    votes = [vote(1, "1858", sense="first"), vote(2, "1860", sense="second")]
    decision = decide(votes, POSTERIORS)
    assert decision.kind == "several"
    assert {(b.answer, b.sense) for b in decision.answers} == {
        ("1858", "first"),
        ("1860", "second"),
    }


def test_answers_of_a_list_do_not_compete() -> None:
    """Two founders with two good sources each were half likely each, so sources disagreed."""
    votes = [vote(1, "a"), vote(2, "a"), vote(3, "b"), vote(4, "b"), vote(5, "c")]
    decision = decide(votes, POSTERIORS, DecisionConfig(takes_several=True))
    assert decision.kind == "several"
    assert {belief.answer for belief in decision.answers} == {"a", "b"}
    for group in (votes[:2], votes[2:4]):
        alone = decide(group, POSTERIORS).answers[0]
        (listed,) = (b for b in decision.answers if b.answer == alone.answer)
        assert listed.chance == pytest.approx(alone.chance)
    assert decide(votes, POSTERIORS).kind != "several"


def test_a_list_of_which_nothing_is_sure_has_low_support() -> None:
    config = DecisionConfig(takes_several=True)
    assert decide([vote(98, "a"), vote(99, "b")], POSTERIORS, config).kind == "low_support"
    assert decide([], POSTERIORS, config).kind == "abstain"
    decision = decide([vote(1, "a"), vote(2, "a"), vote(99, "b")], POSTERIORS, config)
    assert (decision.kind, decision.answers[0].answer) == ("answer", "a")


def test_a_newcomer_adds_little_however_right_it_seems() -> None:
    """A new name is cheap: five of them with five right answers each outvoted two known sources."""
    new = BetaPosterior(7, 2)
    beliefs = POSTERIORS | dict.fromkeys(range(90, 95), new)
    votes = [vote(1, "a"), vote(2, "a"), *(vote(source, "b") for source in range(90, 95))]
    assert decide(votes, beliefs).answers[0].answer == "b"
    config = DecisionConfig(newcomers=frozenset(range(90, 95)))
    assert decide(votes, beliefs, config).answers[0].answer == "a"
    assert vote_weight(new, 9, is_new=True) == pytest.approx(np.log(2))
    assert vote_weight(BetaPosterior(1, 9), 2, is_new=True) == -1.0


def test_a_liar_is_no_oracle_of_the_opposite() -> None:
    assert vote_weight(BetaPosterior(1, 1000), 2) == -1.0
    assert vote_weight(BetaPosterior(1e6, 1), 1) == 4.0


def test_chances_are_calibrated_where_a_map_is_given() -> None:
    scores = np.linspace(0.5, 1, 100)
    calibrator = fit_calibrator(scores, np.tile([0.0, 1.0], 50))
    decision = decide(
        [vote(1, "a"), vote(2, "a")], POSTERIORS, DecisionConfig(calibrator=calibrator)
    )
    assert decision.is_calibrated
    assert 0.3 < decision.answers[0].chance < 0.7


@pytest.mark.parametrize("alignment", [-0.1, 1.1, float("nan")])
def test_alignment_is_checked(alignment: float) -> None:
    with pytest.raises(InvalidObservation):
        Vote(1, 1, 1, "a", alignment)


def test_an_explanation_says_all_of_it() -> None:
    text = "The mill closed in 1921."
    passages = [Passage(3, 3, text, "q", "1921"), Passage(4, 4, text, "q", "1921")]
    families = find_families([*passages, Passage(1, 1, "It ran until 1955", "q", "1955")])
    family = dict(families.family_of)
    votes = [vote(s, "1921", family=family[s]) for s in (3, 4)] + [vote(1, "1955", family[1])]
    log = ObservationLog(
        (
            Observation(1, "probe", "p1", "a", 1),
            Observation(2, "probe", "p1", "a", 3),
            Observation(3, "probe", "p2", "b", 1),
            Observation(4, "label", "p2", "b", verdict=1.0, author="anna"),
            Observation(5, "probe", "p3", "c", 1),
        )
    )
    found = explain(votes, POSTERIORS, log, families)
    assert [reason.answer for reason in found.supporting] == ["1955"]
    assert found.opposing[0].sources == (3, 4)
    assert found.opposing[0].counted_once[0].why == "the same words"
    first = found.sources[0]
    assert (first.checked_by_people, first.cross_checked, first.unchecked) == (1, 1, 1)
    assert first.belief.low < first.belief.mean < first.belief.high
    assert {what.without: what.changes for what in found.what_if} == {1: True, 3: False, 4: False}
    assert found.version == log.version()
