"""Sources with two rates: how often they name a right value, and how often a wrong one.

What `dawid_skene` and `two_sided` share: the cells (source, value of a question it answers), the
rates counted from beliefs, and the score of a value from who names it and who leaves it out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.estimators.protocol import Estimate
from reliability.table import ClaimTable
from reliability.types import BetaPosterior
from reliability.voting import family_discount

MAX_ROUNDS = 100
CHANGE = 1e-6

Beliefs = Callable[[FloatArray], FloatArray]  # scores [V] -> chances [V]


@dataclass(frozen=True, slots=True)
class Cells:
    """Every (source, value) where the source answers the value's question."""

    source: IntArray  # [N]
    value: IntArray  # [N]
    says: FloatArray  # [N] weight of the claim, 0 where the source leaves the value out
    mass: FloatArray  # [N] the same weight for what is left out


@dataclass(frozen=True, slots=True)
class Rates:
    """Beta counts [S]: naming a right value, and naming a wrong one."""

    hit: FloatArray
    miss: FloatArray
    false: FloatArray
    reject: FloatArray

    def says(self) -> FloatArray:
        """[S] what naming a value adds to its log odds: ln(sensitivity / false rate)."""
        return np.asarray(
            np.log(self.hit / (self.hit + self.miss))
            - np.log(self.false / (self.false + self.reject))
        )

    def silence(self) -> FloatArray:
        """[S] what leaving it out adds: ln((1 - sensitivity) / (1 - false rate))."""
        return np.asarray(
            np.log(self.miss / (self.hit + self.miss))
            - np.log(self.reject / (self.false + self.reject))
        )


def make_cells(table: ClaimTable, discount: FloatArray) -> Cells:
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
    return Cells(source, value, says, np.where(says > 0, 0.0, np.repeat(weight, sizes)))


def plain_cells(table: ClaimTable, *, count_copies_once: bool) -> Cells:
    ones = np.ones(len(table.claim_value))
    return make_cells(table, family_discount(table, ones) if count_copies_once else ones)


def count_rates(
    cells: Cells, z: FloatArray, sources: int, hit: BetaPosterior, false: BetaPosterior
) -> Rates:
    """Expected counts under the beliefs `z` [V], priors included."""
    says = (cells.says > 0).astype(np.float64)
    right = z[cells.value]

    def count(amount: FloatArray) -> FloatArray:
        return group_sum(cells.source, amount, sources)

    return Rates(
        hit=hit.alpha + count(says * right),
        miss=hit.beta + count((1 - says) * right),
        false=false.alpha + count(says * (1 - right)),
        reject=false.beta + count((1 - says) * (1 - right)),
    )


def learn_rates(
    cells: Cells,
    start: FloatArray,
    believe: Beliefs,
    sources: int,
    hit: BetaPosterior,
    false: BetaPosterior,
) -> tuple[Rates, FloatArray, int]:
    """EM from the beliefs `start` [V] until they stay: rates, beliefs [V] and rounds."""
    z, rates = start, count_rates(cells, start, sources, hit, false)
    rounds = 0
    while rounds < MAX_ROUNDS:
        rounds += 1
        says, silence = rates.says()[cells.source], rates.silence()[cells.source]
        moved = believe(cell_scores(cells, says, silence, len(start)))
        change = float(np.abs(moved - z).max(initial=0.0))
        z, rates = moved, count_rates(cells, moved, sources, hit, false)
        if change < CHANGE:
            break
    return rates, z, rounds


def cell_scores(cells: Cells, says: FloatArray, silence: FloatArray, values: int) -> FloatArray:
    """[V] log odds added up; `says` and `silence` [N] are the weights of each cell's source."""
    return group_sum(cells.value, cells.says * says + cells.mass * silence, values)


def rated_estimate(
    name: str, table: ClaimTable, rates: Rates, z: FloatArray, default: float, rounds: int
) -> Estimate:
    """Estimate whose posterior counts how often a claim is right; weights from the rates."""
    count, topics = len(table.sources), max(1, len(table.topics))
    right = 1 + group_sum(table.claim_source, z[table.claim_value], count)
    wrong = 1 + group_sum(table.claim_source, 1 - z[table.claim_value], count)

    def wide(array: FloatArray) -> FloatArray:
        return np.repeat(array[:, None], topics, axis=1)

    return Estimate(
        estimator=name,
        sources=table.sources,
        topics=table.topics or ("",),
        alpha=wide(right),
        beta=wide(wrong),
        weight=wide(rates.says()),
        silence=wide(rates.silence()),
        default_weight=default,
        rounds=rounds,
    )


def estimated_scores(table: ClaimTable, cells: Cells, estimate: Estimate) -> FloatArray:
    """[V] scores of any table's values under an estimate learned elsewhere."""
    topic = table.question_topic[table.value_question[cells.value]]
    says = estimate.source_weights(table)[cells.source, topic]
    silence = estimate.silence_weights(table)[cells.source, topic]
    return cell_scores(cells, says, silence, len(table.values))
