"""Verdicts on answers that were written from all passages at once."""

import pytest

from app.answer.citations import cite, stances
from app.answer.explain import explain_run
from app.answer.types import Verdict
from app.answer.verdict import claim_of, heard_in_answer, judge_passages
from app.answer.wire import event_data
from app.db.rows import PassageRow
from reliability.observations import ObservationLog
from tests.unit.app_answer.test_verdicts import BUILT, QUESTION, basis, row, run_of


def generated(answer: str, *rows: PassageRow, question: str = QUESTION) -> Verdict:
    citations = cite(answer, rows)
    heard = heard_in_answer(question, answer, citations, rows)
    return judge_passages(heard, basis("weighted", question), stated=claim_of(answer, citations))


def test_a_generated_answer_has_the_families_that_state_it_behind_it() -> None:
    rows = [row(1, BUILT, 0.8), row(2, f"As we know, {BUILT} It is old.", 0.8), row(3, "Bread.")]
    verdict = generated("The mill was built in 1742.", *rows)
    assert [vote.chunk_id for vote in verdict.votes] == [1, 2]
    assert {vote.answer for vote in verdict.votes} == {"The mill was built in 1742."}
    assert verdict.answers[0].families == len({vote.family for vote in verdict.votes})


def test_other_numbers_in_the_same_words_contradict() -> None:
    rows = [row(1, BUILT), row(2, "The mill was built in 1812 on the river.")]
    found = stances("The mill was built in 1742.", rows)
    assert [(stance.passage.chunk_id, stance.agrees) for stance in found] == [(1, True), (2, False)]
    verdict = generated("The mill was built in 1742.", *rows)
    assert verdict.kind == "disagree"
    assert "1812" in verdict.answers[1].answer + verdict.answers[0].answer
    assert stances("The passages do not say when the mill was built in 1742.", rows) == []


def test_passages_made_from_one_template_do_not_contradict() -> None:
    texts = [f"The seal number of record {n} is KX{n}Q." for n in (13, 17, 21)]
    rows = [row(n, text) for n, text in enumerate(texts, start=1)]
    asked = "What is the seal number of record 17?"
    verdict = generated(texts[1], *rows, question=asked)
    assert [vote.chunk_id for vote in verdict.votes] == [2]
    gates = [row(n, f"The gate number {n} is painted blue.") for n in (535, 758, 801)]
    verdict = generated("The gate number 801 is painted blue.", *gates, question="Which is blue?")
    assert [vote.chunk_id for vote in verdict.votes] == [801]


def test_a_figure_that_the_passage_does_not_have_is_neither_cited_nor_heard() -> None:
    verdict = generated("The mill number 326 was built in 1742.", row(1, BUILT))
    assert (verdict.kind, verdict.votes) == ("abstain", ())


@pytest.mark.parametrize(
    ("said", "agrees"),
    [
        ("The mill was built in 1742 by monks.", True),
        ("The mill was built on 12 May 1742, monks say.", True),
        ("The mill was built on 3 May 1742, others say.", False),
        ("The mill was built on 12 May 1743, others say.", False),
        ("The mill was built in 1743 on a hill.", False),
    ],
)
def test_a_year_agrees_with_a_fuller_date_in_it(said: str, agrees: bool) -> None:
    claim = "The mill was built on 12 May 1742."
    (stance,) = stances(claim, [row(1, said)])
    assert stance.agrees == agrees
    assert bool(cite(claim, [row(1, said)])) == ("12 May 1742" in said)


@pytest.mark.parametrize("against", [0.5, 0.9])
def test_of_two_sides_that_of_the_written_answer_comes_first(against: float) -> None:
    """However far the other one is believed: the reader has this answer before his eyes."""
    rows = [
        row(1, "The mill was built in 1812 on the river."),
        *(row(n, f"The mill was built in {year}.", against) for n, year in ((2, 1742), (3, 1750))),
    ]
    verdict = generated("The mill was built in 1812.", *rows)
    assert verdict.kind == "disagree"
    assert verdict.answers[0].answer == verdict.stated == "The mill was built in 1812."
    assert verdict.probability == verdict.answers[0].probability
    again = explain_run(run_of(verdict), ObservationLog())
    assert again["answers"] == event_data(verdict)["answers"]


def test_an_answer_that_nothing_states_is_an_abstention() -> None:
    assert generated("Nobody can tell what colour it had.", row(1, BUILT)).kind == "abstain"
