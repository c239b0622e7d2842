"""What an estimator is: claims in, beliefs about sources and values out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reliability.arrays import FloatArray
from reliability.errors import InvalidReliability
from reliability.table import ClaimTable
from reliability.types import BetaPosterior

LEAST_COUNT = 0.05  # keeps a belief proper when a claim's own part is taken out


@dataclass(frozen=True, slots=True)
class Estimate:
    """Beliefs after a fit. Rows of `alpha`, `beta`, `weight` follow `sources` (and `topics`).

    `alpha` and `beta` [S, T] say how often a claim of the source is right. `weight` [S, T] is what
    its vote adds to the score of a value it names, `silence` [S, T] what it adds to a value of a
    question that it answers without naming it (0 where one value excludes the others).
    """

    estimator: str
    sources: tuple[int, ...]
    topics: tuple[str, ...]
    alpha: FloatArray
    beta: FloatArray
    weight: FloatArray
    silence: FloatArray
    default_weight: float  # of a source never seen
    rounds: int
    wrong_options: float = 2.0  # how many wrong values a question has, where that was learned
    observed: FloatArray | None = None  # [S, T] claims that were counted; None: not kept
    turned_since: FloatArray | None = None  # [S] day of a change to the worse, -inf: none
    learned_from: ClaimTable | None = None  # and what its claims add [C], each without itself
    learned_weights: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.sources), len(self.topics))
        for array in (self.alpha, self.beta, self.weight, self.silence):
            if array.shape != shape or not bool(np.all(np.isfinite(array))):
                raise InvalidReliability(f"an estimate needs finite figures of shape {shape}")

    def posterior(self, source: int, topic: str | None = None) -> BetaPosterior:
        """Belief about `source`; over all topics where none is named or it was never seen."""
        row = self.sources.index(source)
        if topic in self.topics:
            column = self.topics.index(topic)
            return BetaPosterior(float(self.alpha[row, column]), float(self.beta[row, column]))
        return _over_topics(self.alpha[row], self.beta[row])

    def posterior_without(
        self, source: int, topic: str, right: float, wrong: float
    ) -> BetaPosterior:
        """Belief over all topics, less so many right and wrong claims on one topic."""
        row = self.sources.index(source)
        alpha, beta = self.alpha[row].copy(), self.beta[row].copy()
        column = self.topics.index(topic)
        alpha[column] = max(LEAST_COUNT, alpha[column] - right)
        beta[column] = max(LEAST_COUNT, beta[column] - wrong)
        return _over_topics(alpha, beta)

    def claim_weights(self, table: ClaimTable) -> FloatArray:
        """[C] weight of each claim's source on the claim's topic.

        On the table that was learned from, a claim is no witness for its own source.
        """
        if self.learned_weights is not None and table is self.learned_from:
            return self.learned_weights
        topic = table.question_topic[table.claim_question]
        return np.asarray(self.source_weights(table)[table.claim_source, topic])

    def source_weights(self, table: ClaimTable) -> FloatArray:
        """[S, T] `weight` in the table's order."""
        return self._look_up(table, self.weight, self.default_weight)

    def claim_observations(self, table: ClaimTable) -> FloatArray:
        """[C] how many claims are known of each claim's source; infinite where not kept."""
        if self.observed is None:
            return np.full(len(table.claim_source), np.inf)
        total = np.repeat(self.observed.sum(axis=1, keepdims=True), len(self.topics), axis=1)
        return self._look_up(table, total, 0.0)[
            table.claim_source, table.question_topic[table.claim_question]
        ]

    def silence_weights(self, table: ClaimTable) -> FloatArray:
        """[S, T] in the table's order."""
        return self._look_up(table, self.silence, 0.0)

    def _look_up(self, table: ClaimTable, array: FloatArray, default: float) -> FloatArray:
        if self.sources == table.sources and self.topics == table.topics:
            return array
        row_of = {source: row for row, source in enumerate(self.sources)}
        column_of = {topic: column for column, topic in enumerate(self.topics)}
        padded = np.pad(array, ((0, 1), (0, 1)), constant_values=default)
        if array.size:
            padded[:-1, -1] = array.mean(axis=1)  # a new topic: the source's mean over the others
        rows = [row_of.get(source, len(self.sources)) for source in table.sources]
        columns = [column_of.get(topic, len(self.topics)) for topic in table.topics]
        return np.asarray(padded[np.ix_(rows, columns)])


def _over_topics(alpha: FloatArray, beta: FloatArray) -> BetaPosterior:
    """One belief from those on topics [T]: their mean, as firm as the firmest."""
    mean = float((alpha / (alpha + beta)).mean())
    strength = float((alpha + beta).max())
    return BetaPosterior(strength * mean, strength * (1 - mean))


class Estimator(Protocol):
    """`fit` learns from a table; `predict` weighs any table's values by what was learned.

    Neither changes anything. `predict` gives the chance of each value [V] to be right; several
    values of one question may have high ones only where `takes_several` holds.
    """

    name: str
    takes_several: bool

    def fit(self, table: ClaimTable) -> Estimate: ...

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray: ...


def per_source(
    name: str,
    table: ClaimTable,
    right: FloatArray,
    wrong: FloatArray,
    weight: FloatArray,
    *,
    default_weight: float,
    rounds: int,
) -> Estimate:
    """An estimate that knows no topics; `right` and `wrong` [S] are counts, prior included."""
    topics = max(1, len(table.topics))
    wide = [np.repeat(array[:, None], topics, axis=1) for array in (right, wrong, weight)]
    return Estimate(
        estimator=name,
        sources=table.sources,
        topics=table.topics or ("",),
        alpha=wide[0],
        beta=wide[1],
        weight=wide[2],
        silence=np.zeros_like(wide[2]),
        default_weight=default_weight,
        rounds=rounds,
    )
