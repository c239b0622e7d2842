"""TruthFinder (Yin, Han, Yu 2008), without value similarity: trust as a sum of -ln(1 - t).

score_v = sum of tau_s; b_v = 1 / (1 + exp(-gamma score_v)); t_s = mean b of the source's values.
"""

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.estimators.protocol import Estimate, per_source
from reliability.table import ClaimTable
from reliability.voting import scores

START = 0.9
GAMMA = 0.3
MAX_ROUNDS = 50
CHANGE = 1e-6
MOST_TRUST = 1 - 1e-6


class TruthFinder:
    name = "truthfinder"
    takes_several = False

    def fit(self, table: ClaimTable) -> Estimate:
        count = len(table.sources)
        said = group_sum(table.claim_source, np.ones(len(table.claim_source)), count)
        trust = np.full(count, START)
        rounds = 0
        while rounds < MAX_ROUNDS:
            rounds += 1
            belief = self._belief(table, -np.log1p(-trust)[table.claim_source])
            total = group_sum(table.claim_source, belief[table.claim_value], count)
            moved = np.where(said > 0, total / np.maximum(said, 1), START)
            moved = np.clip(moved, 1e-6, MOST_TRUST)
            change = float(np.abs(moved - trust).max(initial=0.0))
            trust = moved
            if change < CHANGE:
                break
        return per_source(
            self.name,
            table,
            1 + trust * said,
            1 + (1 - trust) * said,
            -np.log1p(-trust),
            default_weight=float(-np.log1p(-START)),
            rounds=rounds,
        )

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        return self._belief(table, estimate.claim_weights(table))

    def _belief(self, table: ClaimTable, tau: FloatArray) -> FloatArray:
        score = scores(table, tau, count_copies_once=False)
        return np.asarray(1 / (1 + np.exp(-GAMMA * score)))
