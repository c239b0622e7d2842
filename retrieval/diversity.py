"""Fewer passages and different ones: maximal marginal relevance, and where to cut. Pure."""

from collections.abc import Sequence

import numpy as np

from retrieval.protocols import Float32Array

# A drop between neighbours below this share of the best score is no edge: a list that falls evenly
# is not cut.
_EDGE = 0.15


def most_different(
    relevance: Sequence[float], vectors: Float32Array, relevance_weight: float, limit: int
) -> list[int]:
    """Places in the order of maximal marginal relevance (Carbonell and Goldstein 1998).

    The next one has the largest `w * relevance - (1 - w) * largest cosine with those chosen`.
    `relevance` is scaled to its largest value; `vectors` are unit rows [n, d].
    """
    best = max(relevance, default=0.0)
    scaled = np.asarray(relevance, np.float64) / (best if best > 0 else 1.0)
    closeness = np.zeros(len(scaled))
    left = list(range(len(scaled)))
    chosen: list[int] = []
    while left and len(chosen) < limit:
        gains = [relevance_weight * scaled[p] - (1 - relevance_weight) * closeness[p] for p in left]
        place = left.pop(int(np.argmax(gains)))
        chosen.append(place)
        closeness = np.maximum(closeness, vectors @ vectors[place])
    return chosen


def cut_at_edge(scores: Sequence[float], least: int) -> int:
    """How many of a falling list to keep: up to where it drops fastest (SAGE), at least `least`.

    All of them where no drop is an edge.
    """
    if len(scores) <= least or scores[0] <= 0:
        return len(scores)
    values = np.asarray(scores, np.float64)
    drops = values[:-1] - values[1:]
    start = max(least, 1) - 1
    place = start + int(np.argmax(drops[start:]))
    return place + 1 if drops[place] >= _EDGE * values[0] else len(scores)
