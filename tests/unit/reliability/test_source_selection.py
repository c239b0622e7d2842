"""Ranking by the lower quantile, quarantine, and stopping early without changing the vote."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.decision import Vote, decide, vote_weight
from reliability.errors import InvalidReliability
from reliability.selection import Candidate, FamilyVote, rank, select
from reliability.settled import is_settled
from reliability.types import BetaPosterior

POSTERIORS = {1: BetaPosterior(90, 10), 2: BetaPosterior(9, 1), 3: BetaPosterior(1, 9)}


def order(candidates: list[Candidate], **more: object) -> list[int]:
    return [item.passage_id for item in rank(candidates, POSTERIORS, **more)]  # type: ignore[arg-type]


def test_of_equal_means_the_better_known_source_comes_first() -> None:
    candidates = [Candidate(20, 2, 0.5), Candidate(10, 1, 0.5), Candidate(30, 99, 0.5)]
    assert order(candidates) == [10, 20, 30]


def test_reliability_can_be_switched_off_and_never_outweighs_everything() -> None:
    candidates = [Candidate(30, 3, 0.9), Candidate(10, 1, 0.8)]
    assert order(candidates) == [10, 30]
    assert order(candidates, beta=0.0) == [30, 10]
    assert order([Candidate(30, 3, 0.9), Candidate(10, 1, 0.05)]) == [30, 10]


def test_quarantine_leaves_out() -> None:
    assert order([Candidate(1, 1, 0.5), Candidate(2, 2, 0.5)], quarantined={1}) == [2]


@pytest.mark.parametrize("relevance", [0.0, -1.0, 1.5, float("nan")])
def test_relevance_is_checked(relevance: float) -> None:
    with pytest.raises(InvalidReliability):
        rank([Candidate(1, 1, relevance)], POSTERIORS)


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf")])
def test_beta_is_checked(beta: float) -> None:
    with pytest.raises(InvalidReliability):
        rank([], POSTERIORS, beta=beta)


def test_silence_is_passed_over_and_kappa_ends_it() -> None:
    votes = [FamilyVote(1, 3.0, None), FamilyVote(2, 2.0, "a"), FamilyVote(3, 1.9, "b")]
    found = select([*votes, FamilyVote(4, 1.8, "b")], kappa=2)
    assert (found.asked, found.spoke, found.reason) == ((1, 2, 3), (2, 3), "kappa")
    assert select(votes, kappa=9, budget=1).reason == "budget"
    assert select([], kappa=1).reason == "all_asked"
    with pytest.raises(InvalidReliability):
        select([], kappa=0)


votes_drawn = st.lists(
    st.tuples(st.floats(-1, 5), st.sampled_from([None, "a", "b", "c"])), max_size=10
)


@settings(deadline=None)
@given(votes_drawn)
def test_stopping_early_never_changes_the_winner(drawn: list[tuple[float, str | None]]) -> None:
    votes = [FamilyVote(place, weight, answer) for place, (weight, answer) in enumerate(drawn)]
    found = select(votes, kappa=len(votes) + 1)
    if found.reason != "decided":
        return
    totals: dict[str, float] = {}
    for vote in votes:
        if vote.answer is not None:
            totals[vote.answer] = totals.get(vote.answer, 0.0) + vote.weight
    winner = max(found.totals, key=lambda answer: found.totals[answer])
    assert totals[winner] == max(totals.values())


def test_more_different_answers_make_every_vote_heavier() -> None:
    """The rule by weights alone ends here, and the four who were not asked turn the verdict."""
    posteriors = {1: BetaPosterior(80, 2), 2: BetaPosterior(6, 5), 3: BetaPosterior(6, 5)}
    posteriors |= {source: BetaPosterior(6, 5) for source in (4, 5, 6, 7)}
    asked = [Vote(1, 1, 1, "a"), Vote(2, 2, 2, "b"), Vote(3, 3, 3, "c")]
    rest = [Vote(n, n, n, "d") for n in (4, 5, 6, 7)]
    weights = {n: vote_weight(posteriors[n], 2.0) for n in posteriors}
    by_weights = [FamilyVote(v.family, weights[v.source], v.answer) for v in (*asked, *rest)]
    assert select(by_weights, kappa=9).reason == "decided"
    turned = decide([*asked, *rest], posteriors).all_answers[0].answer
    assert (decide(asked, posteriors).all_answers[0].answer, turned) == ("a", "d")
    assert not is_settled(asked, [4, 5, 6, 7], posteriors)


claims_drawn = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([None, "a", "b", "c", "d"])), max_size=9
)
beliefs_drawn = st.lists(st.tuples(st.floats(0.5, 60), st.floats(0.5, 60)), min_size=5, max_size=5)


@settings(deadline=None, max_examples=300)
@given(claims_drawn, beliefs_drawn, st.integers(1, 9))
def test_a_settled_verdict_is_the_verdict_of_all(
    drawn: list[tuple[int, str | None]], beliefs: list[tuple[float, float]], asked: int
) -> None:
    posteriors = {place: BetaPosterior(a, b) for place, (a, b) in enumerate(beliefs)}
    early, whole = said(drawn[:asked]), said(drawn)
    if not is_settled(early, [source for source, _ in drawn[asked:]], posteriors):
        return
    if early:
        leader = decide(early, posteriors).all_answers[0].answer
        assert decide(whole, posteriors).all_answers[0].answer == leader


def said(drawn: list[tuple[int, str | None]]) -> list[Vote]:
    """Each passage a family of its own; a source's word divided among its different answers."""
    answers: dict[int, set[str]] = {}
    for source, answer in drawn:
        if answer is not None:
            answers.setdefault(source, set()).add(answer)
    return [
        Vote(place, source, place, answer, 1 / len(answers[source]))
        for place, (source, answer) in enumerate(drawn)
        if answer is not None
    ]
