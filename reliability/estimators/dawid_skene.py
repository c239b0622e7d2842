"""Dawid and Skene (1979) for open answers, by EM.

Open questions share no classes, so each source's confusion matrix is folded to two rates: naming
a value that is right, and naming one that is wrong. One value of a question excludes the others.
"""

from functools import partial

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.estimators.protocol import Estimate
from reliability.estimators.two_rates import (
    Cells,
    RateLearner,
    estimated_scores,
    plain_cells,
    rated_estimate,
)
from reliability.table import ClaimTable
from reliability.types import BetaPosterior
from reliability.voting import chances, shares

HIT = BetaPosterior(2, 1)
FALSE = BetaPosterior(1, 2)
DEFAULT_WEIGHT = float(np.log(2))  # of a source never seen: the priors' mean rates


class DawidSkene:
    name = "dawid_skene"
    takes_several = False

    def fit(self, table: ClaimTable) -> Estimate:
        cells = plain_cells(table, count_copies_once=False)
        z = shares(
            table, group_sum(table.claim_value, np.ones(len(table.claim_value)), len(table.values))
        )
        believe = partial(self._chances, table)
        learner = RateLearner(cells, (len(table.sources), 1), HIT, FALSE)
        rates, z, rounds = learner.learn(z, believe)
        return rated_estimate(self.name, table, rates, z, DEFAULT_WEIGHT, rounds)

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        cells: Cells = plain_cells(table, count_copies_once=False)
        return self._chances(table, estimated_scores(table, cells, estimate))

    def _chances(self, table: ClaimTable, score: FloatArray) -> FloatArray:
        return chances(table, score, np.ones(len(table.questions)))
