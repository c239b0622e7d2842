"""The sequential test: silent at normal drift, quick at large drift, sure at twice the limit."""

import numpy as np
import pytest

from app.decoder.drift import ALARM_AT, CAP, DriftDetector

LIMIT = 0.1


def requests_to_alarm(drifts: np.ndarray) -> int | None:
    detector = DriftDetector(LIMIT)
    for number, drift in enumerate(drifts, start=1):
        if detector.add(float(drift)):
            return number
    return None


def lognormal(mean: float, count: int, seed: int) -> np.ndarray:
    """Drift of answers is skewed: most are near zero, few are large. Sigma 1.5 as measured on
    XQuAD (mean 0.030, largest of forty about 0.3)."""
    sigma = 1.5
    draw = np.random.default_rng(seed)
    return draw.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)


@pytest.mark.parametrize("seed", range(10))
def test_no_alarm_at_normal_drift_in_10000_requests(seed: int) -> None:
    assert requests_to_alarm(lognormal(0.03, 10_000, seed)) is None


def test_at_the_limit_itself_alarms_are_as_rare_as_stated() -> None:
    """On average one in ALARM_AT or fewer: 20 runs of 10,000 may hold two; more is unlikely."""
    alarms = [requests_to_alarm(lognormal(LIMIT, 10_000, seed)) for seed in range(20)]
    assert sum(alarm is not None for alarm in alarms) <= 3


def test_poisoned_answers_are_caught_within_seven() -> None:
    assert requests_to_alarm(np.full(100, CAP * LIMIT)) == 7
    assert requests_to_alarm(np.full(100, 50.0)) == 7
    assert requests_to_alarm(np.full(100, np.nan)) == 7


def test_a_change_after_a_long_calm_is_caught_as_soon() -> None:
    """Evidence does not fall below its start, however long all was well."""
    detector = DriftDetector(LIMIT)
    for drift in lognormal(0.02, 5000, 1):
        detector.add(float(drift))
    assert detector.evidence < ALARM_AT
    assert sum(not detector.add(2.0) for _ in range(20)) <= 7


@pytest.mark.parametrize("seed", range(5))
def test_three_times_the_limit_is_caught_within_300(seed: int) -> None:
    found = requests_to_alarm(lognormal(3 * LIMIT, 1000, seed))
    assert found is not None
    assert found <= 300


def test_one_odd_answer_is_no_alarm() -> None:
    assert not DriftDetector(LIMIT).add(1000.0)


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        DriftDetector(0.0)
