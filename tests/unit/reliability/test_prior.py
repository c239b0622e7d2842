"""Priors: mean, strength, refusals."""

import pytest

from reliability.errors import InvalidReliability
from reliability.prior import prior_with_mean
from reliability.types import BetaPosterior


def test_mean_and_strength() -> None:
    prior = prior_with_mean(0.8, strength=10)
    assert (prior.alpha, prior.beta) == pytest.approx((8, 2))
    assert prior.mean == pytest.approx(0.8)
    assert prior_with_mean(0.5) == BetaPosterior(2, 2)


@pytest.mark.parametrize("mean", [0, 1, -0.1, 1.1, float("nan"), float("inf")])
def test_mean_outside(mean: float) -> None:
    with pytest.raises(InvalidReliability, match="between 0 and 1"):
        prior_with_mean(mean)


@pytest.mark.parametrize("strength", [0, -1, float("nan"), float("inf")])
def test_strength_outside(strength: float) -> None:
    with pytest.raises(InvalidReliability, match="strength"):
        prior_with_mean(0.5, strength)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_posterior_is_checked(value: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        BetaPosterior(value, 1)
