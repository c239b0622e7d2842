"""Reciprocal rank fusion: several ranked lists into one. Pure; knows no scores."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

# The constant of the paper (Cormack et al. 2009): being first in one list is worth less than being
# tenth in two.
K = 60

Item = TypeVar("Item", bound=Hashable)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Item]]) -> dict[Item, float]:
    """Sum of 1 / (60 + rank) over the lists that hold an item; ranks start at 1."""
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (K + rank)
    return scores
