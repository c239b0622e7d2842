"""One-coin model with a Beta prior, by EM with uncertainty-aware weights (ACCU's form).

lambda_s = psi(A) - psi(B) + ln n; z = softmax of the summed lambdas; A and B count z and 1 - z.
"""

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.estimators.protocol import Estimate, per_source
from reliability.special import digamma
from reliability.table import ClaimTable
from reliability.types import BetaPosterior
from reliability.voting import chances, scores, wrong_answers

MAX_ROUNDS = 100
CHANGE = 1e-6


class BetaEm:
    name = "beta_em"
    takes_several = False

    def __init__(self, prior: BetaPosterior | None = None) -> None:
        self._prior = prior or BetaPosterior(2, 1)

    def fit(self, table: ClaimTable) -> Estimate:
        count = len(table.sources)
        right = np.full(count, self._prior.alpha)
        wrong = np.full(count, self._prior.beta)
        rounds = 0
        while rounds < MAX_ROUNDS:
            rounds += 1
            z = self._chances(table, (digamma(right) - digamma(wrong))[table.claim_source])
            z = z[table.claim_value]
            moved = self._prior.alpha + group_sum(table.claim_source, z, count)
            wrong = self._prior.beta + group_sum(table.claim_source, 1 - z, count)
            change = float(np.abs(moved - right).max(initial=0.0))
            right = moved
            if change < CHANGE:
                break
        prior = np.array([self._prior.alpha, self._prior.beta])
        default = float(digamma(prior)[0] - digamma(prior)[1])
        weight = digamma(right) - digamma(wrong)
        return per_source(
            self.name, table, right, wrong, weight, default_weight=default, rounds=rounds
        )

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        return self._chances(table, estimate.claim_weights(table))

    def _chances(self, table: ClaimTable, weight: FloatArray) -> FloatArray:
        wrong = wrong_answers(table)
        votes = scores(table, weight + np.log(wrong)[table.claim_question], count_copies_once=False)
        spare = np.maximum(0.0, wrong + 1 - table.question_values)
        return chances(table, votes, spare)
