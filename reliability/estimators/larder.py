"""Larder's own estimator: one-coin EM that counts copies once, hears people, and knows time.

Adds to `beta_em`: class priors, evidence families, labels as anchors (the start whose trust
explains the labels best wins), posteriors a source and topic, decay with an alarm for a source that
turned, and a cap on what one day's probes can move. A claim nobody cross-checked teaches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.estimators.protocol import Estimate
from reliability.observations import PROBES_PER_SOURCE_AND_DAY
from reliability.posterior import (
    FAST,
    NEVER,
    SLOW,
    Timing,
    claim_age_weights,
    day_cap_weights,
    turned_sources,
)
from reliability.special import digamma
from reliability.table import ClaimTable
from reliability.tolerance import merge_close, report_members
from reliability.topics import best_likeness, pool_topics
from reliability.types import BetaPosterior
from reliability.voting import (
    MIN_WRONG_ANSWERS,
    chances,
    learned_wrong_answers,
    scores,
    wrong_answers,
)

MAX_ROUNDS = 100
CHANGE = 1e-6
LABEL_NATS = 4.0  # a unit of label: a person errs about twice in a hundred
LONE = 0.1  # what a claim that nobody else spoke about counts for its source
LEAST_KNOWN = 0.1  # keeps a belief proper where every answer is unsure
NEW_WEIGHT = float(np.log(2))  # most a source on probation adds: a new name is cheap
LIKENESS_ROUNDS = (3, 8)  # when how alike topics are is learned anew
MOST_WEIGHT = 4.0  # nor is any source, or its reader, right more often than a person
LEAST_WEIGHT = -1.0  # a known liar must not become an oracle of the opposite


@dataclass(frozen=True, slots=True)
class LarderConfig:
    prior: BetaPosterior = field(default_factory=lambda: BetaPosterior(2, 1))
    class_priors: Mapping[int, BetaPosterior] = field(default_factory=dict)
    timing: Timing = SLOW
    probes_per_day: float = PROBES_PER_SOURCE_AND_DAY
    probation: float = 0.0  # claims until which a source counts as new


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Beta counts a source and topic [S, T]."""

    alpha: FloatArray
    beta: FloatArray

    def claim_weights(self, table: ClaimTable) -> FloatArray:
        topic = table.question_topic[table.claim_question]
        return np.asarray(_weight(self.alpha, self.beta)[table.claim_source, topic])


class LarderEstimator:
    name = "larder"
    takes_several = False

    def __init__(self, config: LarderConfig | None = None) -> None:
        self._config = config or LarderConfig()

    def fit(self, table: ClaimTable) -> Estimate:
        table = merge_close(table).table
        learns = self._learning_weights(table)
        starts = [self._prior_trust(table)]
        if np.any(table.value_label != 0):
            starts.append(self._trust_from_labels(table))
        runs = [self._run(table, learns, start) for start in starts]
        fits = [self._label_fit(table, estimate) for estimate in runs]
        return runs[int(np.argmax(fits))]

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        merged = merge_close(table)
        weight, options = estimate.claim_weights(merged.table), estimate.wrong_options
        is_new = estimate.claim_observations(merged.table) < self._config.probation
        rarity = np.log(wrong_answers(merged.table, options))[merged.table.claim_question]
        weight = np.where(is_new, np.minimum(weight, NEW_WEIGHT - rarity), weight)
        chance = self._chances(merged.table, weight, options, with_labels=True)
        cast = self._cast(table, estimate.claim_weights(table), options)
        votes = scores(table, cast, count_copies_once=True)
        return report_members(merged, chance, votes)

    def _run(self, table: ClaimTable, learns: FloatArray, start: Beliefs) -> Estimate:
        beliefs, likeness, options, rounds = start, None, MIN_WRONG_ANSWERS, 0
        for rounds in range(1, MAX_ROUNDS + 1):
            z = self._chances(table, beliefs.claim_weights(table), options, with_labels=True)
            options = learned_wrong_answers(table, z)
            right, wrong = self._counts(table, z[table.claim_value], learns)
            if rounds in LIKENESS_ROUNDS:
                likeness = best_likeness(right, wrong, *self._priors(table))
            moved = Beliefs(*pool_topics(right, wrong, *self._priors(table), likeness))
            change = float(np.abs(moved.alpha - beliefs.alpha).max(initial=0.0))
            beliefs = moved
            if change < CHANGE and rounds > max(LIKENESS_ROUNDS):
                break
        z = self._chances(table, beliefs.claim_weights(table), options, with_labels=True)
        votes = self._after_alarms(table, beliefs, z[table.claim_value])
        told = self._widened(table, votes, z[table.claim_value], learns)
        default = _weight(np.array(self._config.prior.alpha), np.array(self._config.prior.beta))
        return Estimate(
            estimator=self.name,
            sources=table.sources,
            topics=table.topics or ("",),
            alpha=told.alpha,
            beta=told.beta,
            weight=_weight(votes.alpha, votes.beta),
            silence=np.zeros_like(votes.alpha),
            default_weight=float(default),
            rounds=rounds,
            wrong_options=options,
            observed=self._counts(table, np.ones(len(learns)), learns)[0],
        )

    def _chances(
        self, table: ClaimTable, weight: FloatArray, options: float, *, with_labels: bool
    ) -> FloatArray:
        """[V] beliefs under vote weights [C] and, where asked for, the words of people."""
        score = scores(table, self._cast(table, weight, options), count_copies_once=True)
        if with_labels:
            score = score + LABEL_NATS * table.value_label
        wrong = wrong_answers(table, options)
        return chances(table, score, np.maximum(0.0, wrong + 1 - table.question_values))

    def _cast(self, table: ClaimTable, weight: FloatArray, options: float) -> FloatArray:
        """[C] votes in nats: log odds of being right plus how rarely errors agree, bounded."""
        rarity = np.log(wrong_answers(table, options))[table.claim_question]
        return np.asarray(np.maximum(LEAST_WEIGHT, np.minimum(weight, MOST_WEIGHT) + rarity))

    def _counts(
        self, table: ClaimTable, z: FloatArray, learns: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """[S, T] expected right and wrong claims."""
        topics = max(1, len(table.topics))
        cell = table.claim_source * topics + table.question_topic[table.claim_question]
        shape = (len(table.sources), topics)
        right = group_sum(cell, learns * z, shape[0] * shape[1]).reshape(shape)
        wrong = group_sum(cell, learns * (1 - z), shape[0] * shape[1]).reshape(shape)
        return right, wrong

    def _learning_weights(self, table: ClaimTable) -> FloatArray:
        """[C] what a claim counts for its source: its age, the day's cap, and whether others spoke.

        Without cross-check z is the source's own word about itself: counting it lets a source that
        talks alone promote itself.
        """
        pairs = np.unique(np.stack([table.claim_question, table.claim_source]), axis=1)
        speakers = np.bincount(pairs[0], minlength=len(table.questions))
        checked = (speakers > 1) | (table.is_checked() > 0)
        age = claim_age_weights(table, self._config.timing)
        capped = day_cap_weights(table, self._config.probes_per_day)
        return np.asarray(
            table.claim_weight * age * capped * np.where(checked[table.claim_question], 1.0, LONE)
        )

    def _priors(self, table: ClaimTable) -> tuple[FloatArray, FloatArray]:
        """[S] class priors."""
        found = [self._config.class_priors.get(s, self._config.prior) for s in table.sources]
        return np.array([p.alpha for p in found]), np.array([p.beta for p in found])

    def _prior_trust(self, table: ClaimTable) -> Beliefs:
        alpha, beta = self._priors(table)
        shape = (len(table.sources), max(1, len(table.topics)))
        return Beliefs(
            np.broadcast_to(alpha[:, None], shape), np.broadcast_to(beta[:, None], shape)
        )

    def _trust_from_labels(self, table: ClaimTable) -> Beliefs:
        """What the labelled questions alone say about each source."""
        zero = np.full(len(table.claim_value), -np.inf)
        z = self._chances(table, zero, MIN_WRONG_ANSWERS, with_labels=True)[table.claim_value]
        labelled = table.is_checked()[table.claim_question]
        right, wrong = self._counts(table, z, labelled * table.claim_weight)
        return Beliefs(*pool_topics(right, wrong, *self._priors(table)))

    def _widened(
        self, table: ClaimTable, beliefs: Beliefs, z: FloatArray, learns: FloatArray
    ) -> Beliefs:
        """Beliefs with the information that unsure answers leave out taken off (Louis 1982).

        A claim that is right with chance z says as much as 1 - z (1 - z) / (p (1 - p)) claims that
        somebody checked; without this, 80 % intervals held 74 % of the true values.
        """
        alpha, beta = beliefs.alpha, beliefs.beta
        p = alpha / (alpha + beta)
        unsure, _ = self._counts(table, z * (1 - z), learns)
        right, wrong = self._counts(table, z, learns)
        certain = (right + wrong) * p * (1 - p)
        known = np.clip(1 - unsure / np.maximum(certain, 1e-9), LEAST_KNOWN, 1.0)
        return Beliefs(alpha * known, beta * known)

    def _after_alarms(self, table: ClaimTable, beliefs: Beliefs, z: FloatArray) -> Beliefs:
        """The fast belief takes the place of the slow one for a source that turned.

        It is compared with what the source did before: the slow counts less the fast ones.
        """
        if self._config.timing == NEVER:
            return beliefs
        cap = day_cap_weights(table, self._config.probes_per_day) * table.claim_weight
        recent = cap * claim_age_weights(table, FAST)
        before = cap * claim_age_weights(table, self._config.timing) - recent
        fast, old = (
            Beliefs(*pool_topics(*self._counts(table, z, part), *self._priors(table)))
            for part in (recent, np.maximum(before, 0.0))
        )
        turned = turned_sources(old.alpha, old.beta, fast.alpha, fast.beta)
        return Beliefs(
            np.where(turned, fast.alpha, beliefs.alpha), np.where(turned, fast.beta, beliefs.beta)
        )

    def _label_fit(self, table: ClaimTable, estimate: Estimate) -> float:
        """How likely the labels are under the estimate's own vote, in nats."""
        z = self._chances(
            table, estimate.claim_weights(table), estimate.wrong_options, with_labels=False
        )
        z = np.clip(z, 1e-9, 1 - 1e-9)
        label = table.value_label
        return float(
            (np.maximum(label, 0) * np.log(z) + np.maximum(-label, 0) * np.log1p(-z)).sum()
        )


def _weight(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """psi(A) - psi(B): the log odds of being right, expected under the belief."""
    return digamma(alpha) - digamma(beta)
