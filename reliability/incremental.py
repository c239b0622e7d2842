"""One answer's news into an estimate, in a few milliseconds. The nightly refit corrects it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum
from reliability.errors import InvalidObservation
from reliability.estimators.protocol import Estimate, Estimator
from reliability.observations import Observation
from reliability.table import build_table


def absorb(estimator: Estimator, estimate: Estimate, rows: Sequence[Observation]) -> Estimate:
    """The estimate after the claims `rows` of known sources; others wait for the refit.

    Each claim counts as right with the chance that the estimate itself gives it now.
    """
    known = {source: place for place, source in enumerate(estimate.sources)}
    rows = [row for row in rows if row.source is None or row.source in known]
    if not rows:
        return estimate
    if len({row.question for row in rows}) > 1:
        raise InvalidObservation("an update is about one question")
    table = build_table(rows)
    z = estimator.predict(table, estimate)[table.claim_value]
    alpha, beta, weight = estimate.alpha.copy(), estimate.beta.copy(), estimate.weight.copy()
    column = _column(estimate, table.topics[0])
    places: IntArray = np.array([known[source] for source in table.sources], dtype=np.int64)
    source = places[table.claim_source]
    count = len(estimate.sources)
    alpha[:, column] += group_sum(source, table.claim_weight * z, count)
    beta[:, column] += group_sum(source, table.claim_weight * (1 - z), count)
    before = _log_odds(estimate.alpha[places, column], estimate.beta[places, column])
    weight[places, column] += _log_odds(alpha[places, column], beta[places, column]) - before
    return replace(estimate, alpha=alpha, beta=beta, weight=weight)


def _column(estimate: Estimate, topic: str) -> int:
    """A topic never seen counts for the first one until the refit."""
    return estimate.topics.index(topic) if topic in estimate.topics else 0


def _log_odds(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    return np.asarray(np.log(alpha) - np.log(beta))
