"""Several true values: a value at a time, true or false (LTM: Zhao, Rubinstein, Gemmell, Han 2012).

logit z_v = logit pi + sum over sources that name v of ln(phi/psi) + sum over sources that answer
and omit v of ln((1-phi)/(1-psi)). Omitting is common and inventing rare: sensitivity phi has the
prior Beta(2, 8), the rate of false claims psi Beta(1, 99). Both are learned topic by topic, as far
as topics differ, and old claims fade.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from reliability.arrays import FloatArray
from reliability.estimators.protocol import Estimate
from reliability.estimators.two_rates import (
    RateLearner,
    estimated_scores,
    make_cells,
    plain_cells,
    rated_estimate,
)
from reliability.observations import LABEL_WEIGHT
from reliability.posterior import SLOW
from reliability.special import digamma
from reliability.table import ClaimTable
from reliability.types import BetaPosterior
from reliability.voting import family_discount

SENSITIVITY = BetaPosterior(2, 8)
FALSE_RATE = BetaPosterior(1, 99)
PRIOR_TRUE = 0.5
LABEL_NATS = 4.0  # a person errs about twice in a hundred
LISTS_FROM = 0.1  # share of claims beyond a source's first on a question
DEFAULT_WEIGHT = float(np.log(0.2 / 0.01))


class TwoSided:
    name = "two_sided"
    takes_several = True

    def __init__(self, *, count_copies_once: bool = True) -> None:
        self._once = count_copies_once

    def fit(self, table: ClaimTable) -> Estimate:
        ones = np.ones(len(table.claim_value))
        discount = family_discount(table, ones) if self._once else ones
        cells = make_cells(table, discount, by_topic=True, timing=SLOW)
        shape = (len(table.sources), max(1, len(table.topics)))
        learner = RateLearner(cells, shape, SENSITIVITY, FALSE_RATE)
        rates, z, rounds = learner.learn(self._start(table), partial(self._chances, table))
        estimate = rated_estimate(self.name, table, rates, z, DEFAULT_WEIGHT, rounds)
        return estimate if names_lists(table) else _without_silence(estimate)

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        cells = plain_cells(table, count_copies_once=self._once)
        return self._chances(table, estimated_scores(table, cells, estimate))

    def _start(self, table: ClaimTable) -> FloatArray:
        """[V] share of the question's sources that name the value."""
        named = np.bincount(table.claim_value, minlength=len(table.values))
        pairs = np.unique(np.stack([table.claim_question, table.claim_source]), axis=1)
        asked = np.bincount(pairs[0], minlength=len(table.questions))
        return np.asarray(named / np.maximum(asked, 1)[table.value_question])

    def _chances(self, table: ClaimTable, score: FloatArray) -> FloatArray:
        labels = LABEL_NATS * table.value_label / LABEL_WEIGHT
        odds = score + labels + np.log(PRIOR_TRUE / (1 - PRIOR_TRUE))
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def names_lists(table: ClaimTable) -> bool:
    """Whether sources name several values of a question; if not, leaving one out says nothing."""
    pairs = np.unique(np.stack([table.claim_source, table.claim_question]), axis=1)
    return bool(len(table.claim_value) - pairs.shape[1] >= LISTS_FROM * len(table.claim_value))


def _without_silence(estimate: Estimate) -> Estimate:
    """Sources that name one value each: a value is as likely as its sources' claims are right.

    Silence still tells who is reliable, but a passage about one sense does not deny the others.
    """
    odds = digamma(estimate.alpha) - digamma(estimate.beta)
    return replace(estimate, weight=odds, silence=np.zeros_like(odds), default_weight=0.0)
