"""Calibration: monotone maps, kept-out error, thresholds with a bound; and the measures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.calibration import answer_threshold, fit_calibrator
from reliability.errors import NotCalibrated
from reliability.measures import (
    brier,
    calibration_bins,
    expected_calibration_error,
    risk_coverage,
    spearman,
)


@pytest.mark.parametrize(("count", "method"), [(100, "platt"), (4000, "isotonic")])
def test_overconfidence_is_taken_off(count: int, method: str) -> None:
    random = np.random.default_rng(0)
    true = random.beta(2, 1, 2 * count)
    outcome = (random.random(2 * count) < true).astype(float)
    odds = 3 * np.log(true / (1 - true))
    scores = 1 / (1 + np.exp(-odds))
    calibrator = fit_calibrator(scores[:count], outcome[:count])
    assert (calibrator.method, calibrator.labels) == (method, count)
    stated = calibrator(scores[count:])
    assert brier(stated, outcome[count:]) < brier(scores[count:], outcome[count:])
    error = expected_calibration_error(stated, outcome[count:])
    assert error < expected_calibration_error(scores[count:], outcome[count:])
    assert count < 1000 or error < 0.05


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=20, max_size=260))
@settings(deadline=None, max_examples=50)
def test_any_labels_give_a_rising_map(pairs: list[tuple[float, float]]) -> None:
    scores, outcome = (np.array(part) for part in zip(*pairs, strict=True))
    stated = fit_calibrator(scores, outcome)(np.linspace(0, 1, 50))
    assert np.all((stated >= 0) & (stated <= 1))
    assert np.all(np.diff(stated) >= -1e-12)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_labels_that_all_agree_give_no_certainty(right: float) -> None:
    stated = fit_calibrator(np.full(30, 0.999), np.full(30, right))(np.array([0.999]))
    assert abs(float(stated[0]) - right) < 0.2
    assert 0 < stated[0] < 1


def test_bad_labels_are_refused() -> None:
    with pytest.raises(NotCalibrated, match="20"):
        fit_calibrator(np.ones(5), np.ones(5))
    with pytest.raises(NotCalibrated):
        fit_calibrator(np.full(30, np.nan), np.ones(30))
    with pytest.raises(NotCalibrated):
        fit_calibrator(np.ones(30), np.full(30, 2.0))


def test_the_threshold_keeps_errors_below_the_target() -> None:
    stated = np.repeat([0.95, 0.6], 200)
    outcome = np.concatenate([np.tile([1.0] * 19 + [0.0], 10), np.tile([1.0, 0.0], 100)])
    assert answer_threshold(stated, outcome) == 0.95
    assert answer_threshold(stated[200:], outcome[200:]) is None


def test_measures() -> None:
    stated, outcome = np.array([0.9, 0.6, 0.2]), np.array([1.0, 0.0, 0.0])
    assert brier(stated, outcome) == pytest.approx((0.01 + 0.36 + 0.04) / 3)
    assert [(p.coverage, p.risk) for p in risk_coverage(stated, outcome)] == [
        (pytest.approx(1 / 3), 0.0),
        (pytest.approx(2 / 3), 0.5),
        (1.0, pytest.approx(2 / 3)),
    ]
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0.0
    assert calibration_bins(np.zeros(0), np.zeros(0)) == []
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0.0
    assert brier(np.zeros(0), np.zeros(0)) == 0.0
