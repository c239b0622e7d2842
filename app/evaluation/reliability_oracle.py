"""What the data could give at best: counts of each source's right claims, the truth being known.

The bound beside which figures are read: it knows the truth of every probe and the day on which a
source turned, and nothing of the questions that are asked.
"""

import numpy as np

from app.evaluation.reliability_world import World
from reliability.arrays import FloatArray, group_sum
from reliability.estimators.larder import LarderEstimator
from reliability.estimators.protocol import Estimate
from reliability.table import ClaimTable, build_table
from reliability.topics import pool_topics
from reliability.types import BetaPosterior
from reliability.voting import learned_wrong_answers

PRIOR = BetaPosterior(2, 1)  # as the estimators have


class Oracle:
    """An estimator of one world, which it looks behind."""

    name = "oracle"
    takes_several = False

    def __init__(self, world: World) -> None:
        self._world = world

    def fit(self, table: ClaimTable) -> Estimate:
        """Counts the world's claims; `table` only says which sources and topics there are."""
        turned = self._world.turned_on
        counted = build_table(
            row
            for row in self._world.probes
            if row.source is None or row.day >= turned.get(row.source, -np.inf)
        )
        z = np.array([value in self._truth(counted, v) for v, value in enumerate(counted.values)])
        right, wrong = self._counts(table, counted, z.astype(np.float64))
        ones = np.ones(len(table.sources))
        alpha, beta = pool_topics(right, wrong, PRIOR.alpha * ones, PRIOR.beta * ones)
        return Estimate(
            estimator=self.name,
            sources=table.sources,
            topics=table.topics,
            alpha=alpha,
            beta=beta,
            weight=np.log(alpha) - np.log(beta),
            silence=np.zeros_like(alpha),
            default_weight=float(np.log(PRIOR.alpha / PRIOR.beta)),
            rounds=1,
            wrong_options=learned_wrong_answers(counted, z.astype(np.float64)),
        )

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        return LarderEstimator().predict(table, estimate)

    def _truth(self, table: ClaimTable, value: int) -> frozenset[str]:
        question = table.questions[int(table.value_question[value])]
        return self._world.probe_truths.get(question, frozenset())

    def _counts(
        self, table: ClaimTable, counted: ClaimTable, z: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """[S, T] right and wrong claims, in the order of `table`."""
        places = np.array([table.sources.index(source) for source in counted.sources])
        columns = np.array([table.topics.index(topic) for topic in counted.topics])
        topic = columns[counted.question_topic[counted.claim_question]]
        cell = places[counted.claim_source] * len(table.topics) + topic
        shape = (len(table.sources), len(table.topics))
        is_right = z[counted.claim_value]
        right = group_sum(cell, is_right, shape[0] * shape[1]).reshape(shape)
        return right, group_sum(cell, 1 - is_right, shape[0] * shape[1]).reshape(shape)
