"""Majority vote: every source counts the same. The baseline that learning has to beat."""

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.estimators.protocol import Estimate, per_source
from reliability.table import ClaimTable
from reliability.voting import scores, shares, winners


class Majority:
    name = "majority"
    takes_several = False

    def fit(self, table: ClaimTable) -> Estimate:
        """Counts how often each source agrees with the majority; the vote ignores it."""
        count = len(table.sources)
        best = winners(
            table, scores(table, np.ones(len(table.claim_value)), count_copies_once=False)
        )
        agrees = (best[table.claim_question] == table.claim_value).astype(np.float64)
        right = 1 + group_sum(table.claim_source, agrees, count)
        wrong = 1 + group_sum(table.claim_source, 1 - agrees, count)
        return per_source(
            self.name, table, right, wrong, np.ones(count), default_weight=1.0, rounds=1
        )

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        votes = scores(table, estimate.claim_weights(table), count_copies_once=False)
        return shares(table, votes)
