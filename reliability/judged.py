"""Answers that people judged, each with the score it had before: what a calibrator learns from.

A label moves the beliefs in the sources of its question. Its question's claims are taken out of
these, as if it had never been asked; else every label would meet a vote that knows it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.calibration import Calibrator, Line, answer_threshold, fit_calibrator
from reliability.decision import Vote, decide
from reliability.estimators.protocol import Estimate
from reliability.observations import Observation
from reliability.table import ClaimTable, build_table
from reliability.types import BetaPosterior

PRIOR_STRENGTH = 4.0  # of the belief about a source before anything was observed
LEAST_ACCEPTED = 0.5
MOST = 2000  # newest judged answers; more would tell nothing new


@dataclass(frozen=True, slots=True)
class Judged:
    """The leading answer to a question: its score before calibration, and what people say.

    `weight` is in labels of a person: a user's thumb weighs a tenth of one.
    """

    question: str
    score: float
    right: float
    weight: float = 1.0


def learn_calibrator(judged: Sequence[Judged], start: Line) -> Calibrator:
    """From the default's line towards what was judged. Raises `NotCalibrated` for too little."""
    figures = [(item.score, item.right, item.weight) for item in judged[-MOST:]]
    score, right, weight = np.array(figures, dtype=np.float64).reshape(-1, 3).T
    return fit_calibrator(score, right, weight, start)


def learn_threshold(judged: Sequence[Judged], calibrator: Calibrator) -> float | None:
    """The least chance from which on fewer than a tenth of the answers are wrong, surely; None
    where too few were labelled to say. No answer that is more likely wrong than right is given."""
    labelled = [item for item in judged[-MOST:] if item.weight >= 1]
    stated = calibrator(np.array([item.score for item in labelled], dtype=np.float64))
    right = np.array([item.right for item in labelled], dtype=np.float64)
    found = answer_threshold(stated, right) if labelled else None
    return None if found is None else max(LEAST_ACCEPTED, found)


def judged_questions(rows: Iterable[Observation], estimate: Estimate) -> list[Judged]:
    """Labelled questions that some source answered, in the table's order.

    A question with several right answers has no leading one, and is left out.
    """
    table = build_table(row for row in rows if row.kind != "feedback")
    counted = _claim_masses(table, estimate)
    order = np.argsort(table.claim_question, kind="stable")
    starts = np.searchsorted(table.claim_question[order], np.arange(len(table.questions) + 1))
    found = []
    for question in np.flatnonzero(table.is_checked()).tolist():
        claims = order[starts[question] : starts[question + 1]]
        judged = _judge(table, estimate, question, claims, counted)
        if judged is not None:
            found.append(judged)
    return found


def _claim_masses(table: ClaimTable, estimate: Estimate) -> FloatArray:
    """[C] how much of each claim is in the belief about its source.

    Old claims, those of a crowded day and those that nobody checked count for less, and a belief
    is wider where answers were unsure (`LarderFit.widened`); known are the sums of both.
    """
    if estimate.observed is None:
        return table.claim_weight
    rows = {source: row for row, source in enumerate(estimate.sources)}
    columns = {topic: column for column, topic in enumerate(estimate.topics)}
    row = np.array([rows[source] for source in table.sources], dtype=np.int64)
    column = np.array([columns[topic] for topic in table.topics], dtype=np.int64)
    row = row[table.claim_source]
    column = column[table.question_topic[table.claim_question]]
    shape = estimate.observed.shape
    cell = row * shape[1] + column
    stated = group_sum(cell, table.claim_weight, shape[0] * shape[1])[cell]
    observed, strength = estimate.observed[row, column], (estimate.alpha + estimate.beta)
    known = np.minimum(1.0, strength[row, column] / (observed + PRIOR_STRENGTH))
    return np.asarray(table.claim_weight * known * observed / np.maximum(stated, 1e-9))


def _judge(
    table: ClaimTable, estimate: Estimate, question: int, claims: IntArray, counted: FloatArray
) -> Judged | None:
    label = table.value_label
    named = np.flatnonzero(table.value_question == question)
    right = {int(value) for value in named if label[value] > 0}
    if not len(claims) or len(right) > 1:
        return None
    is_right = {
        int(value): float(value in right)
        for value in named
        if value in right or right or label[value] < 0
    }
    topic = int(table.question_topic[question])
    decision = decide(
        [_vote(table, claim) for claim in claims.tolist()],
        _beliefs_without(table, estimate, topic, claims, is_right, counted),
    )
    lead = decision.all_answers[0].answer
    outcome = next((z for v, z in is_right.items() if table.values[v] == lead), None)
    if outcome is None:
        return None
    return Judged(table.questions[question], decision.all_answers[0].chance, outcome)


def _vote(table: ClaimTable, claim: int) -> Vote:
    return Vote(
        passage_id=claim,
        source=table.sources[int(table.claim_source[claim])],
        family=int(table.claim_family[claim]),
        answer=table.values[int(table.claim_value[claim])],
        alignment=float(table.claim_weight[claim]),
    )


def _beliefs_without(
    table: ClaimTable,
    estimate: Estimate,
    topic: int,
    claims: IntArray,
    is_right: dict[int, float],
    counted: FloatArray,
) -> dict[int, BetaPosterior]:
    """Posterior of each source that spoke, less what it said to this question."""
    taken: dict[int, tuple[float, float]] = {}
    for claim in claims.tolist():
        source = table.sources[int(table.claim_source[claim])]
        z = is_right.get(int(table.claim_value[claim]))
        mass = 0.0 if z is None else float(counted[claim])
        right, wrong = taken.get(source, (0.0, 0.0))
        taken[source] = (right + mass * (z or 0.0), wrong + mass * (1 - (z or 0.0)))
    return {
        source: estimate.posterior_without(source, table.topics[topic], *counts)
        for source, counts in taken.items()
    }
