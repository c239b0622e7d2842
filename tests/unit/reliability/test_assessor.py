"""Assessor: order, limit, quarantine."""

import pytest

from reliability.assessor import OVER_LIMIT, SOURCE_DISTRUSTED, Assessor
from reliability.errors import InvalidReliability
from reliability.prior import prior_with_mean
from reliability.types import Dropped, Evidence

EVIDENCE = [Evidence(1, 10, 0.2), Evidence(2, 20, 0.9), Evidence(3, 30, 0.5), Evidence(4, 10, 0.2)]


def test_best_are_kept_in_order() -> None:
    result = Assessor().assess(EVIDENCE, {10: prior_with_mean(0.8)}, limit=3)
    assert result.kept == (2, 3, 1)
    assert result.dropped == (Dropped(4, OVER_LIMIT),)
    assert result.weights == pytest.approx({10: 0.8, 20: 0.5, 30: 0.5})


def test_distrusted_sources_take_no_place() -> None:
    posteriors = {20: prior_with_mean(0.04), 30: prior_with_mean(0.06)}
    result = Assessor().assess(EVIDENCE, posteriors, limit=2)
    assert result.kept == (3, 1)
    assert result.dropped == (Dropped(2, SOURCE_DISTRUSTED), Dropped(4, OVER_LIMIT))
    assert result.weights[20] == pytest.approx(0.04)


def test_floor_can_be_switched_off() -> None:
    posteriors = {20: prior_with_mean(0.001)}
    assert Assessor(distrust_floor=0).assess(EVIDENCE, posteriors, limit=1).kept == (2,)


@pytest.mark.parametrize("floor", [-0.1, 1, float("nan")])
def test_floor_is_checked(floor: float) -> None:
    with pytest.raises(InvalidReliability, match="floor"):
        Assessor(floor)


def test_nothing() -> None:
    result = Assessor().assess([], {}, limit=5)
    assert (result.kept, result.dropped, result.weights) == ((), (), {})
    assert Assessor().assess(EVIDENCE, {}, limit=0).kept == ()


NEIGHBOURS = [Evidence(1, 10, 0.020), Evidence(2, 20, 0.019), Evidence(3, 30, 0.009)]


def test_reliability_reorders_neighbours_only() -> None:
    posteriors = {10: prior_with_mean(0.2), 20: prior_with_mean(0.9), 30: prior_with_mean(0.95)}
    assert Assessor().assess(NEIGHBOURS, posteriors, limit=3).kept == (2, 1, 3)


def test_a_source_that_is_well_known_ranks_above_one_with_the_same_mean() -> None:
    posteriors = {10: prior_with_mean(0.7, 2.0), 20: prior_with_mean(0.7, 200.0)}
    assert Assessor().assess(NEIGHBOURS, posteriors, limit=3).kept == (2, 1, 3)


def test_without_beta_reliability_plays_no_part() -> None:
    posteriors = {10: prior_with_mean(0.01), 20: prior_with_mean(0.9)}
    result = Assessor().assess(NEIGHBOURS, posteriors, limit=2, beta=0)
    assert result.kept == (1, 2)
    assert result.dropped == (Dropped(3, OVER_LIMIT),)


def test_scores_may_be_negative_or_zero() -> None:
    evidence = [Evidence(1, 10, -3.0), Evidence(2, 20, 0.0), Evidence(3, 30, -1.0)]
    assert Assessor().assess(evidence, {}, limit=3).kept == (2, 3, 1)
