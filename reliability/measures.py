"""How good probabilities and rankings are: Brier, ECE, Spearman, risk and coverage."""

from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray

MOST_BINS = 15
FEWEST_A_BIN = 40  # fewer questions a bin, and chance alone puts the ECE above 0.05


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram."""

    stated: float
    true: float
    count: int


@dataclass(frozen=True, slots=True)
class RiskPoint:
    coverage: float  # share of questions answered
    risk: float  # share of the answered ones that are wrong


def brier(stated: FloatArray, outcome: FloatArray) -> float:
    """Mean squared distance of stated chances from outcomes 0 and 1."""
    return float(((stated - outcome) ** 2).mean()) if len(stated) else 0.0


def calibration_bins(stated: FloatArray, outcome: FloatArray) -> list[Bin]:
    """Bins of equal mass: 15, or fewer so that each holds 40 questions."""
    if not len(stated):
        return []
    count = int(np.clip(len(stated) // FEWEST_A_BIN, 1, MOST_BINS))
    order = np.argsort(stated, kind="stable")
    return [
        Bin(float(stated[part].mean()), float(outcome[part].mean()), len(part))
        for part in np.array_split(order, count)
    ]


def expected_calibration_error(stated: FloatArray, outcome: FloatArray) -> float:
    """Mean distance of stated chance from the share that came true, over the bins."""
    bins = calibration_bins(stated, outcome)
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.stated - part.true) for part in bins) / max(1, total)


def risk_coverage(stated: FloatArray, outcome: FloatArray) -> list[RiskPoint]:
    """What is wrong among the surest 1, 2, 3 ... questions."""
    order = np.argsort(-stated, kind="stable")
    answered = np.arange(1, len(order) + 1)
    risk = np.cumsum(1 - outcome[order]) / answered
    return [RiskPoint(float(n / len(order)), float(r)) for n, r in zip(answered, risk, strict=True)]


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place.reshape(-1)])


def spearman(one: FloatArray, other: FloatArray) -> float:
    """Rank correlation; 0 where one of both does not vary."""
    a, b = ranks(one) - ranks(one).mean(), ranks(other) - ranks(other).mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
