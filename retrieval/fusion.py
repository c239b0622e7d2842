"""Two ranked lists into one: by ranks, or by scores put on a common scale. Pure; knows no texts.

Ranks need no scale, but where one search is much better than the other they let the worse one spoil
the list. Sums of scores need a scale: each search's own spread, so that what stands out in one list
weighs more than what is first among equals in the other.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

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


def convex_combination(
    by_words: Mapping[Item, float],
    by_vectors: Mapping[Item, float],
    spread: float,
    dense_weight: float,
    zero: float = 0.0,
) -> dict[Item, float]:
    """`dense_weight` * (cosine - zero) / spread + the rest * word score / its deviation, from 0 up.

    Word scores start at 0, which is what an item without a word of the question has (Bruch et al.
    2023: the theoretical minimum); their deviation is over all items of both lists. `spread` is
    the deviation of the question's cosine with passages at random. An item that only words found
    is at most as close as the last one found by vectors: `zero` is that one's cosine, or 0 where
    the vectors' list ends because there are no more.
    """
    items = list(dict.fromkeys([*by_words, *by_vectors]))
    words = np.array([max(by_words.get(item, 0.0), 0.0) for item in items])
    cosines = np.array([max(by_vectors.get(item, zero) - zero, 0.0) for item in items])
    deviation = float(words.std()) if len(items) > 1 else 0.0
    # All words alike (or one hit alone): nothing stands out, but a match is still a match.
    if deviation == 0.0:
        deviation = float(words.max(initial=0.0)) or 1.0
    scores = dense_weight * cosines / spread + (1 - dense_weight) * words / deviation
    return dict(zip(items, scores.tolist(), strict=True))
