"""Means with bootstrap intervals, and SQuAD's token F1. Pure numbers and strings."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_AT_ONCE = 1 << 20  # values drawn at a time: 16 MiB of places and values


@dataclass(frozen=True, slots=True)
class Interval:
    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Mean and its 95 % percentile interval over resampled questions."""
    data = np.asarray(values, dtype=np.float64)
    drawn, rows = np.random.default_rng(seed), max(1, _AT_ONCE // len(data))
    means = np.empty(RESAMPLES)
    for first in range(0, RESAMPLES, rows):
        part = means[first : first + rows]
        part[:] = data[drawn.integers(0, len(data), (len(part), len(data)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Best F1 over the references on normalised tokens (SQuAD 1.1)."""
    return max((_f1(_tokens(answer), _tokens(reference)) for reference in references), default=0.0)


def _tokens(text: str) -> list[str]:
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def _f1(answer: list[str], reference: list[str]) -> float:
    common = sum((Counter(answer) & Counter(reference)).values())
    if common == 0:
        return float(answer == reference)
    precision, recall = common / len(answer), common / len(reference)
    return 2 * precision * recall / (precision + recall)
