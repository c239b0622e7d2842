"""What a curator should look at next: open questions, sources that turned, sources that err alike.

Computed from all that was observed; nothing of it changes a belief by itself.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass

import numpy as np

from app.db.observations import DAY_S
from app.sources.beliefs import Beliefs
from app.sources.estimate import build_estimator
from app.sources.fold import Circumstances, words_of
from reliability.estimators.protocol import Estimate
from reliability.exploration import OpenQuestion, questions_to_label
from reliability.families.copying import CopySuspicion, suspect_copies
from reliability.observations import Observation, ObservationLog
from reliability.table import ClaimTable, build_table

MOST_COMPARED = 300  # sources, those with most claims: every pair of them is looked at
LIMIT = 20


@dataclass(frozen=True, slots=True)
class Answers:
    """A question that nobody answered, what sources say to it, and what a label would be worth."""

    question: str
    worth: float  # nats x claims
    answers: tuple[tuple[str, int], ...]  # with the number of sources, most first


@dataclass(frozen=True, slots=True)
class Turned:
    """A source that has been worse since that time (epoch seconds)."""

    source_id: int
    since: float


@dataclass(frozen=True, slots=True)
class Review:
    questions: tuple[Answers, ...]
    turned: tuple[Turned, ...]
    suspected: tuple[CopySuspicion, ...]


class Reviewer:
    def __init__(self, beliefs: Beliefs) -> None:
        self._beliefs = beliefs

    async def review(self, limit: int = LIMIT) -> Review:
        log, circumstances = await self._beliefs.observations(), await self._beliefs.circumstances()
        name = await self._beliefs.estimator()
        return await asyncio.to_thread(_review, log, name, circumstances, limit)


def _review(log: ObservationLog, name: str, circumstances: Circumstances, limit: int) -> Review:
    table = build_table(log.rows)
    if not table.sources:
        return Review((), (), ())
    estimator = build_estimator(name, circumstances)
    estimate = estimator.fit(table)
    chance = estimator.predict(table, estimate)
    asked = questions_to_label(table, chance, limit)
    return Review(
        tuple(_answers(item, log.rows) for item in asked),
        _turned(estimate),
        tuple(_suspected(log, estimate, table)[:limit]),
    )


def _answers(item: OpenQuestion, rows: tuple[Observation, ...]) -> Answers:
    said = Counter(row.answer for row in rows if row.question == item.question and row.answer)
    return Answers(words_of(item.question), item.worth, tuple(said.most_common()))


def _turned(estimate: Estimate) -> tuple[Turned, ...]:
    if estimate.turned_since is None:
        return ()
    pairs = zip(estimate.sources, estimate.turned_since.tolist(), strict=True)
    return tuple(Turned(source, day * DAY_S) for source, day in pairs if np.isfinite(day))


def _suspected(log: ObservationLog, estimate: Estimate, whole: ClaimTable) -> list[CopySuspicion]:
    """Pairs that share their errors, known copies aside: those count once already."""
    active = {
        source
        for source, _ in Counter(
            row.source for row in log.rows if row.source is not None and row.answer
        ).most_common(MOST_COMPARED)
    }
    rows = [row for row in log.rows if row.source is None or row.source in active]
    table = whole if len(active) == len(whole.sources) else build_table(rows)
    believed = build_estimator(estimate.estimator, Circumstances())
    trust = np.array([estimate.posterior(source).mean for source in table.sources])
    known = _known_copies(log.rows)
    found = suspect_copies(table, trust, believed.predict(table, estimate))
    return [pair for pair in found if frozenset((pair.one, pair.other)) not in known]


def _known_copies(rows: tuple[Observation, ...]) -> set[frozenset[int]]:
    members: dict[tuple[int, str], set[int]] = {}
    for row in rows:
        if row.family is not None and row.source is not None:
            members.setdefault((row.family, row.question), set()).add(row.source)
    return {
        frozenset((one, other)) for group in members.values() for one in group for other in group
    }
