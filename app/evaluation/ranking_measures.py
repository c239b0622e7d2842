"""nDCG and recall of a ranking against binary judgments, and paired differences. Pure numbers."""

from collections.abc import Sequence, Set

import numpy as np

from app.evaluation.statistics import Interval, bootstrap


def ndcg(ranking: Sequence[int], relevant: Set[int], depth: int = 10) -> float:
    """Discounted gain of the first `depth` over that of the best possible order; 0 to 1."""
    best = sum(_discount(place) for place in range(min(depth, len(relevant))))
    found = sum(_discount(at) for at, item in enumerate(ranking[:depth]) if item in relevant)
    return found / best if best else 0.0


def recall(ranking: Sequence[int], relevant: Set[int], depth: int = 20) -> float:
    return len(relevant & set(ranking[:depth])) / len(relevant) if relevant else 0.0


def paired(one: Sequence[float], other: Sequence[float], *, seed: int = 0) -> Interval:
    """Mean of the differences question by question, with its 95 % interval."""
    return bootstrap([a - b for a, b in zip(one, other, strict=True)], seed=seed)


def _discount(place: int) -> float:
    return float(1 / np.log2(place + 2))
