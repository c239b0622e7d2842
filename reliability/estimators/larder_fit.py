"""The rounds of Larder's EM over one table: beliefs in sources and values from one another.

A source that turned has two rows of beliefs, before and after; a claim votes with the row of its
day. A claim's own part is taken out of the belief it votes with, so that a source with few claims
does not vouch for itself (the cavity of belief propagation; Liu, Peng and Ihler 2012).
"""

import math
from dataclasses import dataclass

import numpy as np

from reliability.activity import activity_class, learned_prior
from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.changes import CHANGE_CHANCE, turned_since
from reliability.estimators.larder_votes import LarderConfig, log_odds, vote_chances
from reliability.estimators.protocol import LEAST_COUNT
from reliability.posterior import NEVER, claim_age_weights, day_cap_weights
from reliability.table import ClaimTable
from reliability.topics import best_likeness, pool_topics
from reliability.voting import MIN_WRONG_ANSWERS, learned_wrong_answers

MAX_ROUNDS = 100
CHANGE = 1e-4  # of a claim; beliefs are read to two digits
MOST_SEARCHES = 4  # for changes; each runs the rounds again
TOGETHER_DAYS = 3.0  # sources that turned within these turned together
LONE = 0.1  # what a claim that nobody else spoke about counts for its source
LIKENESS_ROUNDS = (3, 8)  # when how alike topics are is learned anew


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Beta counts [R, T]: a row a source, then one more for the worse time of each that turned."""

    alpha: FloatArray
    beta: FloatArray

    def weights(self) -> FloatArray:
        return log_odds(self.alpha, self.beta)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Where the rounds ended."""

    beliefs: Beliefs
    since: FloatArray  # [S] day of a change, -inf for none
    claim_weights: FloatArray  # [C] each without the claim itself
    z: FloatArray  # [V]
    options: float
    rounds: int


class LarderFit:
    def __init__(self, table: ClaimTable, config: LarderConfig) -> None:
        self._table, self._config = table, config
        self._sources, self._topics = len(table.sources), max(1, len(table.topics))
        self._question = table.claim_question
        self._topic = table.question_topic[self._question]
        self._fresh = self._cross_checked() * table.claim_weight
        self._fresh = self._fresh * day_cap_weights(table, config.probes_per_day)
        self._learns = self._fresh * claim_age_weights(table, config.timing, config.today)
        self._part_rows(np.full(self._sources, -np.inf))
        found = [config.class_priors.get(s, config.prior) for s in table.sources]
        self._alpha = np.array([p.alpha for p in found], dtype=np.float64)
        self._beta = np.array([p.beta for p in found], dtype=np.float64)
        self._is_classless = np.array([s not in config.class_priors for s in table.sources])
        said = group_sum(table.claim_source, np.ones(len(self._learns)), self._sources)
        self._activity = activity_class(said)
        self._likeness: float | None = None

    def run(self, start: Beliefs) -> Fitted:
        """Rounds from the beliefs `start`, and again after each change that they bring to light."""
        fitted = self._rounds(start, MIN_WRONG_ANSWERS)
        if self._config.timing == NEVER:
            return fitted
        rounds = fitted.rounds
        for _ in range(MOST_SEARCHES):
            z = fitted.z[self._table.claim_value]
            since = turned_since(
                self._table.claim_source,
                self._table.claim_day,
                self._fresh * z,
                self._fresh * (1 - z),
                self._sources,
            )
            if np.array_equal(since, self._since):
                break
            self._part_rows(since)
            fitted = self._rounds(self._beliefs(z), fitted.options)
            rounds += fitted.rounds
        return Fitted(
            fitted.beliefs, self._since, fitted.claim_weights, fitted.z, fitted.options, rounds
        )

    def prior_trust(self) -> Beliefs:
        shape = (self._sources, self._topics)
        return Beliefs(
            np.broadcast_to(self._alpha[:, None], shape),
            np.broadcast_to(self._beta[:, None], shape),
        )

    def trust_from_labels(self) -> Beliefs:
        """What the labelled questions alone say about each source."""
        zero = np.full(len(self._learns), -np.inf)
        z = self.chances(zero, MIN_WRONG_ANSWERS, with_labels=True)[self._table.claim_value]
        labelled = self._table.is_checked()[self._question]
        right, wrong = self._counts(z, labelled * self._table.claim_weight)
        return Beliefs(*pool_topics(right, wrong, self._alpha, self._beta))

    def trust_in_fewer_turned(self, since: FloatArray) -> Beliefs | None:
        """The start from which those who turned first were right, and the others turned that day.

        Two camps that contradict each other from a day on fit the claims alike, whichever of them
        turned; accounts that lie together can so make honest sources look as if these had. None
        where no fewer would have turned.
        """
        first = float(np.where(np.isfinite(since), since, np.inf).min(initial=np.inf))
        early = np.isfinite(since) & (since <= first + TOGETHER_DAYS)
        late_claims = self._table.claim_day >= first
        active = np.bincount(self._table.claim_source[late_claims], minlength=self._sources) > 0
        if int(np.isfinite(since).sum()) <= int((active & ~early).sum()):
            return None
        day = float(np.median(since[early]))
        self._part_rows(np.where(active & ~early, day, -np.inf))
        return self._beliefs_before(day)

    def plausibility(self, fitted: Fitted) -> float:
        """How well the labels are explained, less what each change costs before it is seen."""
        days = max(1.0, float(np.ptp(self._table.claim_day))) if len(self._learns) else 1.0
        price = math.log(days / CHANGE_CHANCE)
        return self._label_fit(fitted) - price * float(np.isfinite(fitted.since).sum())

    def current_rows(self) -> IntArray:
        """[S] the row that holds each source's belief of today."""
        return self._last_row

    def observed(self) -> FloatArray:
        """[S, T] claims that were counted, of all times."""
        seen, _ = self._counts(np.ones(len(self._learns)), self._learns)
        total = np.zeros((self._sources, self._topics))
        np.add.at(total, self._owner, seen)
        return total

    def widened(self, fitted: Fitted) -> Beliefs:
        """Beliefs with the information that unsure answers leave out taken off (Louis 1982).

        A claim that is right with chance z says z (1 - z) / (p (1 - p)) claims less than one that
        somebody checked, and at worst nothing: what was believed before it stays as firm as it was.
        """
        z = fitted.z[self._table.claim_value]
        alpha, beta = fitted.beliefs.alpha, fitted.beliefs.beta
        p = alpha / (alpha + beta)
        unsure, _ = self._counts(z * (1 - z), self._learns)
        counted, _ = self._counts(np.ones(len(z)), self._learns)
        known = 1 - np.minimum(unsure / (p * (1 - p)), counted) / (alpha + beta)
        return Beliefs(alpha * known, beta * known)

    def _label_fit(self, fitted: Fitted) -> float:
        """How likely the labels are under the estimate's own vote, in nats."""
        z = self.chances(fitted.claim_weights, fitted.options, with_labels=False)
        z = np.clip(z, 1e-9, 1 - 1e-9)
        label = self._table.value_label
        return float((np.maximum(label, 0) * np.log(z)).sum()) + float(
            (np.maximum(-label, 0) * np.log1p(-z)).sum()
        )

    def chances(self, weight: FloatArray, options: float, *, with_labels: bool) -> FloatArray:
        return vote_chances(self._table, weight, options, with_labels=with_labels)

    def _rounds(self, beliefs: Beliefs, options: float) -> Fitted:
        z = np.full(len(self._learns), 0.0)
        own, number = np.zeros(len(z)), 0  # no claim is in the starting beliefs
        for number in range(1, MAX_ROUNDS + 1):
            weight = self._cavity_weights(beliefs, z, own)
            value_z = self.chances(weight, options, with_labels=True)
            options = learned_wrong_answers(self._table, value_z)
            seen = value_z[self._table.claim_value]
            z = seen if number == 1 else (z + seen) / 2  # undamped, two sources can take turns
            own = self._learns
            if number in LIKENESS_ROUNDS:
                self._likeness = best_likeness(*self._counts(z, own), *self._priors(z))
            moved = self._beliefs(z)
            change = float(np.abs(moved.alpha - beliefs.alpha).max(initial=0.0))
            beliefs = moved
            if change < CHANGE and number > max(LIKENESS_ROUNDS):
                break
        weight = self._cavity_weights(beliefs, z, own)
        value_z = self.chances(weight, options, with_labels=True)
        return Fitted(beliefs, self._since, weight, value_z, options, number)

    def _cavity_weights(self, beliefs: Beliefs, z: FloatArray, own: FloatArray) -> FloatArray:
        """[C] weight of each claim's source, what the claim itself added taken out."""
        alpha = beliefs.alpha[self._row, self._topic] - own * z
        beta = beliefs.beta[self._row, self._topic] - own * (1 - z)
        return log_odds(np.maximum(alpha, LEAST_COUNT), np.maximum(beta, LEAST_COUNT))

    def _beliefs(self, z: FloatArray) -> Beliefs:
        right, wrong = self._counts(z, self._learns)
        return Beliefs(*pool_topics(right, wrong, *self._priors(z), self._likeness))

    def _beliefs_before(self, day: float) -> Beliefs:
        """What a vote of equals says about each source's claims before `day`."""
        z = self.chances(np.zeros(len(self._learns)), MIN_WRONG_ANSWERS, with_labels=True)
        before = self._learns * (self._table.claim_day < day)
        right, wrong = self._counts(z[self._table.claim_value], before)
        return Beliefs(1 + right, 1 + wrong)

    def _counts(self, z: FloatArray, learns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[R, T] expected right and wrong claims."""
        shape = (len(self._owner), self._topics)
        cell = self._row * self._topics + self._topic
        right = group_sum(cell, learns * z, shape[0] * shape[1]).reshape(shape)
        wrong = group_sum(cell, learns * (1 - z), shape[0] * shape[1]).reshape(shape)
        return right, wrong

    def _part_rows(self, since: FloatArray) -> None:
        """Gives each source that turned a row for its claims from that day on."""
        turned = np.flatnonzero(np.isfinite(since))
        self._last_row = np.arange(self._sources)
        self._last_row[turned] = self._sources + np.arange(len(turned))
        self._owner = np.concatenate([np.arange(self._sources), turned])
        source = self._table.claim_source
        late = self._table.claim_day >= np.where(np.isfinite(since), since, np.inf)[source]
        self._row = np.where(late, self._last_row[source], source)
        self._since = since

    def _priors(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[R] priors: a person's class, or else what sources as active are like.

        The worse time starts from what `turned_since` assumes of it: nothing.
        """
        right = group_sum(self._table.claim_source, self._learns * z, self._sources)
        wrong = group_sum(self._table.claim_source, self._learns * (1 - z), self._sources)
        learned = learned_prior(self._activity, right, wrong, self._alpha, self._beta)
        alpha = np.where(self._is_classless, learned[0], self._alpha)
        beta = np.where(self._is_classless, learned[1], self._beta)
        worse = np.ones(len(self._owner) - self._sources)
        return np.concatenate([alpha, worse]), np.concatenate([beta, worse])

    def _cross_checked(self) -> FloatArray:
        """[C] 1 where others spoke too, or a person.

        Without cross-check z is the source's own word about itself: counting it lets a source that
        talks alone promote itself.
        """
        pairs = np.unique(np.stack([self._question, self._table.claim_source]), axis=1)
        speakers = np.bincount(pairs[0], minlength=len(self._table.questions))
        checked = (speakers > 1) | (self._table.is_checked() > 0)
        return np.where(checked[self._question], 1.0, LONE)
