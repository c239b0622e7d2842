"""Verdicts from what passages say: families, contradictions, senses, and who is left out."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from app.answer.explain import explain_run
from app.answer.pipeline import few_of_each
from app.answer.record import RunRecord
from app.answer.short_answers import read_answer
from app.answer.trust import biases, tag, trust_word, with_trust
from app.answer.types import Trust, Verdict
from app.answer.verdict import Basis, heard_in_votes, judge_passages
from app.answer.vote import by_weight, compose, is_decided, known_families
from app.answer.vote_citations import cite_votes
from app.answer.wire import event_data
from app.db.rows import PassageRow, RunRow, RunTokens
from app.decoder.types import DecodeRequest, Passage
from app.errors import SourceNotFound, VerdictNotFound
from reliability.observations import Observation, ObservationLog

QUESTION = "When was the mill built?"


def row(
    number: int,
    text: str,
    reliability: float = 0.5,
    *,
    source: int | None = None,
    title: str = "",
    strength: float = 4.0,
) -> PassageRow:
    source = number if source is None else source
    title = title or f"Notes {number}"
    return PassageRow(
        number, number, 1, source, f"source {source}", reliability, title, title, text,
        0, len(text), None, (number,), (), strength,
    )  # fmt: skip


def basis(trust: Trust = "vote", question: str = QUESTION) -> Basis:
    return Basis(question, trust, 3)


def voted(*pairs: tuple[PassageRow, str], question: str = QUESTION) -> Verdict:
    said = [(passage, read_answer(text, question)) for passage, text in pairs]
    return judge_passages(heard_in_votes(question, said), basis(question=question))


BUILT = "The mill was built in 1742 on the river."


def test_two_families_that_agree_are_an_answer() -> None:
    verdict = voted(
        (row(1, BUILT, 0.8), "It was built in 1742."),
        (row(2, "Monks finished the mill in 1742, says the chronicle.", 0.8), "1742"),
        (row(3, "Bread was dear."), "I don't know."),
    )
    assert (verdict.kind, verdict.reliability_version, verdict.trust) == ("answer", 3, "vote")
    (answer,) = verdict.answers
    assert answer.families == 2
    assert answer.sources == ("source 1", "source 2")
    assert verdict.probability == answer.probability > 0.7
    assert not verdict.is_calibrated
    assert [vote.said for vote in verdict.votes] == ["It was built in 1742.", "1742"]
    assert compose(verdict) == "It was built in 1742."


def test_copies_count_once_and_say_why() -> None:
    copies = [row(n, BUILT, 0.6) for n in (1, 2, 3)]
    verdict = voted(*((copy, "1742") for copy in copies))
    assert verdict.answers[0].families == 1
    assert verdict.answers[0].wording == "contested"
    assert {join.level for join in verdict.joins} >= {"L0"}
    apart = voted(
        (row(1, BUILT, 0.6), "1742"),
        (row(2, "The chronicle names 1742 as its year.", 0.6), "1742"),
        (row(3, "A stone over the door says 1742.", 0.6), "1742"),
    )
    assert apart.answers[0].probability > verdict.answers[0].probability


def test_a_source_that_says_it_twice_says_it_once() -> None:
    texts = (BUILT, "A stone over the door of the building says 1742.")
    verdict = voted(*((row(n, text, source=9), "1742") for n, text in enumerate(texts, start=1)))
    assert verdict.answers[0].families == 1
    assert verdict.joins[0].why == "the same source"


def test_close_sides_disagree_and_both_are_told() -> None:
    verdict = voted((row(1, BUILT), "1742"), (row(2, "The mill was built in 1812."), "1812"))
    assert verdict.kind == "disagree"
    text = compose(verdict)
    assert text.startswith("Sources disagree.")
    assert "1742 (according to source 1)" in text
    assert "1812 (according to source 2)" in text


def test_one_name_with_two_senses_has_two_answers() -> None:
    question = "How many people live in Broken Bow?"
    texts = [
        ("Broken Bow, Nebraska", "3,500 people live there.", "3,500"),
        ("Broken Bow, Oklahoma", "4,200 people live there.", "4,200"),
    ]
    pairs = [
        (row(2 * n + k, text if k else f"In the census {text}", 0.9, title=title), said)
        for n, (title, text, said) in enumerate(texts)
        for k in range(2)
    ]
    sure = [(r, said) for r, said in pairs]
    verdict = voted(*sure, question=question)
    assert verdict.kind in {"several", "low_support"}
    strong = voted(
        *(
            (row(number, text, 0.95, title=title, strength=200.0), said)
            for number, (title, text, said) in enumerate(texts, start=1)
        ),
        question=question,
    )
    assert strong.kind == "several"
    assert {answer.sense for answer in strong.answers} == {title for title, _, _ in texts}
    assert strong.probability == min(answer.probability for answer in strong.answers)
    assert "Broken Bow, Nebraska: 3,500" in compose(strong)


def test_a_question_for_a_list_gets_one() -> None:
    question = "Who were the founders of Millbrook?"
    texts = [
        (1, 1, "Anna Berg founded Millbrook.", "Anna Berg"),
        (2, 2, "In Millbrook a stone names Anna Berg as its founder.", "Anna Berg"),
        (3, 3, "Otto Kurz founded Millbrook in spring.", "Otto Kurz"),
        (4, 4, "The first house of Millbrook was that of its founder, Otto Kurz.", "Otto Kurz"),
        (5, 4, "Millbrook remembers Anna Berg, its founder.", "Anna Berg"),
    ]
    pairs = [
        (row(number, text, 0.75, source=source, strength=8.0), said)
        for number, source, text, said in texts
    ]
    verdict = voted(*pairs, question=question)
    assert (verdict.kind, verdict.takes_several) == ("several", True)
    assert {answer.answer for answer in verdict.answers} == {"Anna Berg", "Otto Kurz"}
    assert {vote.alignment for vote in verdict.votes} == {1.0}
    assert compose(verdict).splitlines() == ["- Anna Berg", "- Otto Kurz"]


@pytest.mark.parametrize("reliability", [0.00001, 0.01, 0.99])
def test_a_verdict_is_worked_out_again_whatever_was_stated(reliability: float) -> None:
    verdict = voted(
        (row(1, BUILT, reliability), "1742"), (row(2, "The mill was built in 1812."), "1812")
    )
    sources = event_data(verdict)["sources"]
    assert sources == [asdict(source) for source in verdict.sources]
    found = explain_run(run_of(verdict), ObservationLog())
    assert found["probability"] == pytest.approx(verdict.probability, abs=1e-4)
    of_before = {"verdict": event_data(verdict) | {"sources": [
        source | {"alpha": round(source["alpha"], 4)} for source in sources
    ]}}  # fmt: skip
    assert explain_run(replace(run_of(verdict), **of_before), ObservationLog())["kind"]


@pytest.mark.parametrize(("born", "families"), [(40.5, 1), (90.0, 2), (None, 2)])
def test_accounts_made_together_that_restate_one_answer_count_once(
    born: float | None, families: int
) -> None:
    rows = [
        replace(row(1, BUILT), first_day=40.0),
        replace(row(2, "A stone over the door says 1742."), first_day=born),
    ]
    heard = heard_in_votes(QUESTION, [(r, read_answer("1742", QUESTION)) for r in rows])
    near = np.array([1.0, 0.0]), np.array([0.999, 0.045])
    known = replace(basis(), cosine_limit=0.9, vectors=dict(zip((1, 2), near, strict=True)))
    assert judge_passages(heard, known).answers[0].families == families
    assert judge_passages(heard, basis()).answers[0].families == 2
    copiers = replace(basis(), copiers=frozenset({(1, 2)}))
    assert judge_passages(heard, copiers).answers[0].families == 1


def test_nothing_said_is_an_abstention() -> None:
    verdict = voted((row(1, BUILT), "I don't know."))
    assert (verdict.kind, verdict.probability, verdict.answers) == ("abstain", None, ())
    assert compose(verdict) == "The passages do not answer this."


def test_only_what_stands_in_a_passage_is_quoted_and_cited() -> None:
    stone = row(1, "Bread was dear. A stone over the door says 1742.", 0.8)
    other = row(2, "The mill was built in 1812.", 0.8)
    verdict = voted((stone, "It was built in 1742."), (other, "1812"))
    quotes = {vote.chunk_id: vote.quote for vote in verdict.votes}
    assert quotes == {1: "A stone over the door says 1742.", 2: other.text}
    text = compose(verdict)
    cited = cite_votes(text, verdict, [stone, other])
    assert {item.chunk_id: item.quote for item in cited} == quotes
    spans = {text[item.answer_start : item.answer_end] for item in cited}
    assert spans == {"It was built in 1742.", "1812"}
    (first, _) = cited
    assert stone.text[first.start : first.end] == first.quote or first.chunk_id == 2
    found = explain_run(run_of(verdict), ObservationLog())["supporting"]
    assert isinstance(found, list)
    assert {family["passages"][0]["quote"] for family in found} == set(quotes.values())


def test_an_answer_that_its_passage_does_not_state_is_not_heard() -> None:
    verdict = voted((row(1, "Bread was dear."), "1742"))
    assert (verdict.kind, verdict.votes) == ("abstain", ())


def run_of(verdict: Verdict | None) -> RunRow:
    data = event_data(verdict) if verdict else None
    return RunRow(
        "run_1", 0.0, 1.0, QUESTION, 1, "town", "model", "auto", None, None, "1742", "stop",
        RunTokens(), None, None, None, {}, None, (), (), False, "vote", data, 3,
    )  # fmt: skip


@pytest.fixture
def contested() -> Verdict:
    return voted(
        (row(1, BUILT, 0.8), "1742"),
        (row(2, "A stone over the door says 1742.", 0.8), "1742"),
        (row(3, "The mill was built in 1812.", 0.7), "1812"),
    )


def test_an_explanation_names_both_sides_and_what_beliefs_rest_on(contested: Verdict) -> None:
    log = ObservationLog(
        (
            Observation(1, "probe", "q", "a", source=1),
            Observation(2, "label", "q", "a", verdict=1.0, author="ada"),
            Observation(3, "probe", "r", "b", source=1),
            Observation(4, "probe", "r", "b", source=3),
        )
    )
    found = explain_run(run_of(contested), log)
    assert found["kind"] == contested.kind
    assert found["probability"] == pytest.approx(contested.probability, abs=1e-4)
    assert found["reliability_version"] == 3
    supporting, opposing = found["supporting"], found["opposing"]
    assert isinstance(supporting, list)
    assert isinstance(opposing, list)
    assert [family["sources"] for family in supporting] == [["source 1"], ["source 2"]]
    assert supporting[0]["passages"][0]["said"] == "1742"
    assert [family["answer"] for family in opposing] == ["1812"]
    sources = found["sources"]
    assert isinstance(sources, list)
    assert sources[0]["low"] < sources[0]["mean"] < sources[0]["high"]
    assert (sources[0]["checked_by_people"], sources[0]["cross_checked"]) == (1, 1)
    assert (sources[1]["checked_by_people"], sources[1]["cross_checked"]) == (0, 0)


def test_what_if_a_source_had_been_silent(contested: Verdict) -> None:
    whole = explain_run(run_of(contested), ObservationLog())
    what_if = whole["what_if"]
    assert isinstance(what_if, list)
    assert {item["without"] for item in what_if} == {"source 1", "source 2", "source 3"}
    without = explain_run(run_of(contested), ObservationLog(), ["source 1", "2"])
    assert without["without"] == ["source 1", "source 2"]
    answers = without["answers"]
    assert isinstance(answers, list)
    assert [answer["answer"] for answer in answers] == ["1812"]
    nobody = explain_run(run_of(contested), ObservationLog(), ["1", "2", "3"])
    assert (nobody["kind"], nobody["probability"]) == ("abstain", None)


def test_a_source_that_was_merged_since_keeps_its_counts(contested: Verdict) -> None:
    log = ObservationLog(tuple(Observation(n, "probe", f"q{n}", "a", source=9) for n in (1, 2)))
    for owners, count in (({}, 0), ({1: 9}, 2)):
        sources = explain_run(run_of(contested), log, owners=owners)["sources"]
        assert isinstance(sources, list)
        assert sources[0]["unchecked"] == count


def test_a_vote_hears_few_passages_of_each_source() -> None:
    rows = [row(n, f"text {n}", source=9) for n in range(1, 8)] + [row(8, "x"), row(10, "y")]
    assert [r.chunk_id for r in few_of_each(rows, 5)] == [1, 2, 8, 10, 3]
    assert [r.chunk_id for r in few_of_each(rows[:7], 5)] == [1, 2, 3, 4, 5]


def test_a_what_if_says_that_not_all_were_asked(contested: Verdict) -> None:
    for unasked in (0, 3):
        run = run_of(replace(contested, unasked=unasked))
        what_if = explain_run(run, ObservationLog())["what_if"]
        assert isinstance(what_if, list)
        assert {item["all_asked"] for item in what_if} == {unasked == 0}


def test_a_run_without_a_verdict_has_the_version_it_was_served_with(contested: Verdict) -> None:
    assert RunRecord(7).result().reliability_version == 7
    record = RunRecord(2)
    record.note(contested)
    assert record.result().reliability_version == 3


def test_copies_are_explained_with_their_level() -> None:
    verdict = voted((row(1, BUILT, 0.8), "1742"), (row(2, BUILT, 0.8), "1742"))
    supporting = explain_run(run_of(verdict), ObservationLog())["supporting"]
    assert isinstance(supporting, list)
    (family,) = supporting
    assert family["counted_once"] == [
        {"level": "L0", "why": "the same words", "sources": ["source 1", "source 2"]}
    ]


def test_what_cannot_be_explained_is_refused(contested: Verdict) -> None:
    with pytest.raises(VerdictNotFound, match="run_1"):
        explain_run(run_of(None), ObservationLog())
    with pytest.raises(SourceNotFound, match="nobody"):
        explain_run(run_of(contested), ObservationLog(), ["nobody"])


def test_a_vote_ends_where_the_rest_cannot_change_it() -> None:
    texts = (BUILT, "A stone over the door says 1742.")
    good = [row(n, text, 0.9, strength=100.0) for n, text in enumerate(texts, start=1)]
    weak = [row(3, "Something else entirely about bread.", 0.3)]
    rows = [*weak, *good]
    families = known_families(rows)
    ordered = by_weight(rows, families)
    assert [r.chunk_id for r in ordered] == [1, 2, 3]
    said = [(passage, read_answer("1742", QUESTION)) for passage in good]
    assert is_decided(basis(), heard_in_votes(QUESTION, said), good, rows, families, kappa=5)
    assert not is_decided(basis(), [], [], rows, families, kappa=5)
    assert is_decided(
        basis(), heard_in_votes(QUESTION, said[:1]), good[:1], rows, families, kappa=1
    )


def test_a_vote_goes_on_where_several_answers_or_senses_may_come() -> None:
    good = [row(n, f"{BUILT} {n}", 0.95, strength=200.0) for n in (1, 2)]
    weak = [row(3, "Something else entirely about bread.", 0.1, strength=50.0)]
    rows = [*good, *weak]
    families = known_families(rows)

    def decided(question: str, passages: list[PassageRow]) -> bool:
        said = [(passage, read_answer("1742", question)) for passage in good]
        heard = heard_in_votes(question, said)
        return is_decided(basis(question=question), heard, good, passages, families, kappa=5)

    assert decided(QUESTION, rows)
    assert not decided("List all years in which the mill was built.", rows)
    mills = [replace(r, title=f"Mill ({place})") for r, place in zip(rows, "abc", strict=True)]
    assert not decided(QUESTION, mills)


def test_biases_are_at_most_zero_and_grow_with_strength() -> None:
    rows = [row(1, "a", 0.9, strength=50), row(2, "b", 0.3), row(3, "c", 0.05)]
    best, middle, worst = biases(rows, 1.0)
    assert best == 0
    assert worst <= middle < 0
    assert biases(rows, 2.0) == pytest.approx([0, 2 * middle, 2 * worst])
    assert biases([], 1.0) == []


def test_trust_changes_no_token_of_a_passage() -> None:
    rows = [row(1, "a", 0.9), row(2, "b", 0.2, title="Two\n lines " + "x" * 200)]
    request = DecodeRequest(tuple(Passage(r.chunk_id, r.token_ids) for r in rows), "Why?")
    plain = with_trust(request, rows, "plain", 1.0)
    assert plain == request
    assert with_trust(request, rows, "weighted", 0.0) == request
    weighted = with_trust(request, rows, "weighted", 1.0)
    tagged = with_trust(request, rows, "tagged", 1.0)
    assert weighted.passages[0].bias == 0 > weighted.passages[1].bias
    assert tagged.passages[0].tag == "Notes 1: high"
    assert "\n" not in tag(rows[1])
    assert len(tag(rows[1])) < 100
    for changed in (weighted, tagged):
        assert [p.token_ids for p in changed.passages] == [p.token_ids for p in request.passages]
    assert [trust_word(value) for value in (0.9, 0.5, 0.1)] == ["high", "medium", "low"]


def test_the_event_carries_all_that_the_explanation_needs(contested: Verdict) -> None:
    data = event_data(contested)
    assert set(data) == set(asdict(contested))
