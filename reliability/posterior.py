"""Beliefs about a source over time: intervals, quantiles, and how older claims fade."""

from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.errors import InvalidReliability
from reliability.special import beta_quantile
from reliability.table import ClaimTable
from reliability.types import BetaPosterior


@dataclass(frozen=True, slots=True)
class Timing:
    half_life_days: float

    def __post_init__(self) -> None:
        if not self.half_life_days > 0:
            raise InvalidReliability(f"a half-life must be positive, not {self.half_life_days}")


SLOW = Timing(180.0)
NEVER = Timing(float("inf"))


@dataclass(frozen=True, slots=True)
class CredibleInterval:
    mean: float
    low: float
    high: float


def credible_interval(posterior: BetaPosterior, share: float = 0.8) -> CredibleInterval:
    """Mean and the central interval that holds `share` of the belief."""
    tail = (1 - share) / 2
    a, b = np.array([posterior.alpha]), np.array([posterior.beta])
    low, high = float(beta_quantile(tail, a, b)[0]), float(beta_quantile(1 - tail, a, b)[0])
    return CredibleInterval(posterior.mean, low, high)


def lower_quantile(posterior: BetaPosterior, share: float = 0.2) -> float:
    """What the source's reliability exceeds with a chance of 1 - share."""
    quantile = beta_quantile(share, np.array([posterior.alpha]), np.array([posterior.beta]))
    return float(quantile[0])


def claim_age_weights(table: ClaimTable, timing: Timing, today: float | None = None) -> FloatArray:
    """[C] how much each claim still counts today, or on the table's last day where that is later
    or no day is named."""
    if not len(table.claim_day):
        return np.ones(0)
    last = float(table.claim_day.max())
    today = last if today is None else max(today, last)
    return np.asarray(2.0 ** (-(today - table.claim_day) / timing.half_life_days))


def day_cap_weights(table: ClaimTable, per_day: float) -> FloatArray:
    """[C] so that a source's claims of one day weigh `per_day` together at most.

    Claims that an estimate asked for are not counted, and count whole.
    """
    if not len(table.claim_day):
        return np.ones(0)
    day = np.floor(table.claim_day).astype(np.int64)
    _, group = np.unique(np.stack([table.claim_source, day]), axis=1, return_inverse=True)
    group = np.asarray(group, dtype=np.int64).reshape(-1)
    met = np.where(table.claim_is_planned, 0.0, 1.0)
    count = np.maximum(group_sum(group, met, int(group.max()) + 1), 1.0)
    return np.where(table.claim_is_planned, 1.0, np.minimum(1.0, per_day / count[group]))
