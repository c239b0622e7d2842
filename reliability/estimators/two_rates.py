"""Sources with two rates: how often they name a right value, and how often a wrong one.

What `dawid_skene` and `two_sided` share: the cells (source, value of a question it answers), the
rates counted from beliefs, and the score of a value from who names it and who leaves it out. Rates
are a source's own on each topic, as far as topics differ, or the same on all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.estimators.protocol import Estimate
from reliability.posterior import NEVER, Timing, claim_age_weights
from reliability.table import ClaimTable
from reliability.topics import pool_topics
from reliability.types import BetaPosterior
from reliability.voting import family_discount

MAX_ROUNDS = 100
CHANGE = 1e-6

Beliefs = Callable[[FloatArray], FloatArray]  # scores [V] -> chances [V]


@dataclass(frozen=True, slots=True)
class Cells:
    """Every (source, value) where the source answers the value's question."""

    source: IntArray  # [N]
    topic: IntArray  # [N] 0 where topics are not told apart
    value: IntArray  # [N]
    says: FloatArray  # [N] weight of the claim, 0 where the source leaves the value out
    mass: FloatArray  # [N] the same weight for what is left out
    counts: FloatArray  # [N] what a cell still tells about its source: its age


@dataclass(frozen=True, slots=True)
class Rates:
    """Beta counts [S, T]: naming a right value, and naming a wrong one."""

    hit: FloatArray
    miss: FloatArray
    false: FloatArray
    reject: FloatArray

    def says(self) -> FloatArray:
        """[S, T] what naming a value adds to its log odds: ln(sensitivity / false rate)."""
        return np.asarray(
            np.log(self.hit / (self.hit + self.miss))
            - np.log(self.false / (self.false + self.reject))
        )

    def silence(self) -> FloatArray:
        """[S, T] what leaving it out adds: ln((1 - sensitivity) / (1 - false rate))."""
        return np.asarray(
            np.log(self.miss / (self.hit + self.miss))
            - np.log(self.reject / (self.false + self.reject))
        )


def make_cells(
    table: ClaimTable, discount: FloatArray, *, by_topic: bool = False, timing: Timing = NEVER
) -> Cells:
    """Cells of a table; `discount` [C] is each claim's weight in its evidence family."""
    values_of = np.argsort(table.value_question, kind="stable")
    starts = np.searchsorted(table.value_question[values_of], np.arange(len(table.questions) + 1))
    answered, first = np.unique(
        np.stack([table.claim_source, table.claim_question]), axis=1, return_index=True
    )
    sizes = (starts[1:] - starts[:-1])[answered[1]]
    source = np.repeat(answered[0], sizes)
    inside = np.arange(len(source)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    value = values_of[np.repeat(starts[:-1][answered[1]], sizes) + inside]
    weight = discount[first]
    keys = source * len(table.values) + value
    order = np.argsort(keys)
    said = table.claim_source * len(table.values) + table.claim_value
    says = np.zeros(len(keys))
    says[order[np.searchsorted(keys[order], said)]] = discount
    topic = table.question_topic[table.value_question[value]] if by_topic else np.zeros_like(value)
    return Cells(
        source,
        topic,
        value,
        says,
        np.where(says > 0, 0.0, np.repeat(weight, sizes)),
        np.repeat(claim_age_weights(table, timing)[first], sizes),
    )


def plain_cells(table: ClaimTable, *, count_copies_once: bool) -> Cells:
    ones = np.ones(len(table.claim_value))
    return make_cells(table, family_discount(table, ones) if count_copies_once else ones)


class RateLearner:
    """Counts rates of `shape` [S, T] from beliefs, topics drawn together as far as they agree."""

    def __init__(
        self, cells: Cells, shape: tuple[int, int], hit: BetaPosterior, false: BetaPosterior
    ) -> None:
        self._cells, self._shape = cells, shape
        self._priors = hit, false
        self._cell = cells.source * shape[1] + cells.topic
        self._says = (cells.says > 0).astype(np.float64)

    def learn(self, start: FloatArray, believe: Beliefs) -> tuple[Rates, FloatArray, int]:
        """EM from the beliefs `start` [V] until they stay: rates, beliefs [V] and rounds."""
        cells, z, rates = self._cells, start, self._rates(start)
        rounds = 0
        while rounds < MAX_ROUNDS:
            rounds += 1
            says, silence = rates.says(), rates.silence()
            at = cells.source, cells.topic
            moved = believe(cell_scores(cells, says[at], silence[at], len(start)))
            change = float(np.abs(moved - z).max(initial=0.0))
            z, rates = moved, self._rates(moved)
            if change < CHANGE:
                break
        return rates, z, rounds

    def _rates(self, z: FloatArray) -> Rates:
        """Expected counts under the beliefs `z` [V], priors included."""
        says, right = self._says * self._cells.counts, z[self._cells.value]
        omits = self._cells.counts - says
        hit = self._pooled(says * right, omits * right, self._priors[0])
        false = self._pooled(says * (1 - right), omits * (1 - right), self._priors[1])
        return Rates(*hit, *false)

    def _pooled(
        self, yes: FloatArray, no: FloatArray, prior: BetaPosterior
    ) -> tuple[FloatArray, FloatArray]:
        sources, topics = self._shape
        counts = [
            group_sum(self._cell, amount, sources * topics).reshape(sources, topics)
            for amount in (yes, no)
        ]
        ones = np.ones(sources)
        return pool_topics(counts[0], counts[1], prior.alpha * ones, prior.beta * ones)


def cell_scores(cells: Cells, says: FloatArray, silence: FloatArray, values: int) -> FloatArray:
    """[V] log odds added up; `says` and `silence` [N] are the weights of each cell's source."""
    return group_sum(cells.value, cells.says * says + cells.mass * silence, values)


def rated_estimate(
    name: str, table: ClaimTable, rates: Rates, z: FloatArray, default: float, rounds: int
) -> Estimate:
    """Estimate whose posterior counts how often a claim is right; weights from the rates."""
    shape = (len(table.sources), max(1, len(table.topics)))
    cell = table.claim_source * shape[1] + table.question_topic[table.claim_question]
    seen = z[table.claim_value]
    counts = [
        group_sum(cell, part, shape[0] * shape[1]).reshape(shape) for part in (seen, 1 - seen)
    ]
    alpha, beta = pool_topics(counts[0], counts[1], np.ones(shape[0]), np.ones(shape[0]))
    return Estimate(
        estimator=name,
        sources=table.sources,
        topics=table.topics or ("",),
        alpha=alpha,
        beta=beta,
        weight=np.broadcast_to(rates.says(), shape).copy(),
        silence=np.broadcast_to(rates.silence(), shape).copy(),
        default_weight=default,
        rounds=rounds,
    )


def estimated_scores(table: ClaimTable, cells: Cells, estimate: Estimate) -> FloatArray:
    """[V] scores of any table's values under an estimate learned elsewhere."""
    topic = table.question_topic[table.value_question[cells.value]]
    says = estimate.source_weights(table)[cells.source, topic]
    silence = estimate.silence_weights(table)[cells.source, topic]
    return cell_scores(cells, says, silence, len(table.values))
