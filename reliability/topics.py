"""A source's reliability topic by topic, drawn towards what it does on its other topics.

p_{s,t} ~ Beta(h m, h (1 - m)) with m the source's mean on the other topics; h, how alike topics
are, is learned from all sources: where topics make no difference they are pooled.
"""

import numpy as np

from reliability.arrays import FloatArray
from reliability.special import log_beta

LIKENESS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0)


def pool_topics(
    right: FloatArray,
    wrong: FloatArray,
    alpha: FloatArray,
    beta: FloatArray,
    likeness: float | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Posterior [S, T] of counts `right` and `wrong` [S, T] and of class priors [S]."""
    if right.shape[1] <= 1:
        return right + alpha[:, None], wrong + beta[:, None]
    if likeness is None:
        likeness = best_likeness(right, wrong, alpha, beta)
    a, b = _topic_prior(right, wrong, alpha, beta, likeness)
    return right + a, wrong + b


def best_likeness(
    right: FloatArray, wrong: FloatArray, alpha: FloatArray, beta: FloatArray
) -> float:
    """The h under which the counts are most likely (beta-binomial), from a short list."""
    fits = []
    for likeness in LIKENESS:
        a, b = _topic_prior(right, wrong, alpha, beta, likeness)
        fits.append(float((log_beta(a + right, b + wrong) - log_beta(a, b)).sum()))
    return LIKENESS[int(np.argmax(fits))]


def _topic_prior(
    right: FloatArray, wrong: FloatArray, alpha: FloatArray, beta: FloatArray, likeness: float
) -> tuple[FloatArray, FloatArray]:
    a = alpha[:, None] + right.sum(axis=1, keepdims=True) - right
    b = beta[:, None] + wrong.sum(axis=1, keepdims=True) - wrong
    shrink = np.minimum(likeness, a + b) / (a + b)
    return a * shrink, b * shrink
