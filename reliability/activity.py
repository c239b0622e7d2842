"""What one who says little is worth: a prior for each class of activity, learned without labels.

In long-tailed tables most sources make one claim. How often such claims come true is seen over all
of them together, though no single one could tell.
"""

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_sum

MOST_CLASS = 12  # sources with 4,096 claims and more are one class
PRIOR_SOURCES = 20.0  # a class of few sources stays at the prior it was given


def activity_class(claims: FloatArray) -> IntArray:
    """[S] whole part of log2 of the number of claims: 1, 2 to 3, 4 to 7, ..."""
    steps = np.floor(np.log2(np.maximum(claims, 1.0)))
    return np.minimum(steps, MOST_CLASS).astype(np.int64)


def learned_prior(
    group: IntArray, right: FloatArray, wrong: FloatArray, alpha: FloatArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Priors [S] of the old strength around the mean of each group's shares of right claims.

    A source weighs by how well its share is known: n / (n + strength).
    """
    seen, strength = right + wrong, alpha + beta
    weight = seen / (seen + strength)
    share = right / np.maximum(seen, 1e-9)
    groups = int(group.max(initial=0)) + 1
    mean = group_sum(group, weight * share, groups)[group] + PRIOR_SOURCES * alpha / strength
    mean /= group_sum(group, weight, groups)[group] + PRIOR_SOURCES
    return strength * mean, strength * (1 - mean)
