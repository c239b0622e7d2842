"""RA-RAG's fixed point (Hwang et al., arXiv 2410.22954; Li and Yu 2014): iterative weighted vote.

w_i = share of the source's answers that equal the weighted vote; v_i = N w_i - 1, N sources.
As published, on clustered answers. Unlike the released code, a source without answers keeps the
start weight, and no padding takes part in the vote.
"""

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.estimators.protocol import Estimate, per_source
from reliability.table import ClaimTable
from reliability.voting import scores, shares, winners

MAX_ROUNDS = 100
CHANGE = 1e-20
NOISE = 1e-8  # breaks ties, as published


class RaRag:
    name = "ra_rag"
    takes_several = False

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def fit(self, table: ClaimTable) -> Estimate:
        count = len(table.sources)
        weight = np.ones(count)
        share = np.full(count, 0.5)
        use = self._has_plurality(table)
        rounds = 0
        for rounds in range(1, MAX_ROUNDS + 1):
            best = winners(
                table, scores(table, weight[table.claim_source], count_copies_once=False)
            )
            share = self._agreement(table, best, use)
            use = np.ones(len(table.questions))
            moved = np.where(np.isnan(share), 1.0, count * share - 1)
            change = float(((moved - weight) ** 2).sum())
            weight = moved
            if change < CHANGE and rounds > 1:
                break
        answered = group_sum(table.claim_source, np.ones(len(table.claim_source)), count)
        known = np.where(np.isnan(share), 0.5, share)
        noise = np.random.default_rng(self._seed).uniform(0, NOISE, count)
        return per_source(
            self.name,
            table,
            1 + known * answered,
            1 + (1 - known) * answered,
            weight + noise,
            default_weight=1.0,
            rounds=rounds,
        )

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        """Shares of the positive votes; where every vote is negative the least bad value leads."""
        votes = scores(table, estimate.claim_weights(table), count_copies_once=False)
        best = winners(table, votes)
        lead = np.zeros(len(votes))
        lead[best[best >= 0]] = 1e-9
        return np.asarray(shares(table, votes) + lead)

    def _has_plurality(self, table: ClaimTable) -> FloatArray:
        """[Q] 1 where one value has strictly the most votes: ties would seed noise."""
        votes = scores(table, np.ones(len(table.claim_value)), count_copies_once=False)
        best = winners(table, votes)
        top = np.where(best >= 0, votes[best], 0.0) if len(votes) else np.zeros(len(best))
        ties = group_sum(
            table.value_question,
            (votes == top[table.value_question]).astype(np.float64),
            len(table.questions),
        )
        return np.asarray(ties == 1, dtype=np.float64)

    def _agreement(self, table: ClaimTable, best: IntArray, use: FloatArray) -> FloatArray:
        """[S] share of answers that equal the vote; NaN for a source with none."""
        counted = use[table.claim_question]
        agrees = counted * (best[table.claim_question] == table.claim_value)
        total = group_sum(table.claim_source, counted, len(table.sources))
        right = group_sum(table.claim_source, agrees, len(table.sources))
        return np.asarray(np.where(total > 0, right / np.maximum(total, 1), np.nan))
