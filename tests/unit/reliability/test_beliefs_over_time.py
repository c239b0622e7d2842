"""Beta functions against known values, decay, intervals, changes, and one update at a time."""

import math
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.activity import activity_class, learned_prior
from reliability.arrays import FloatArray
from reliability.changes import turned_since
from reliability.errors import InvalidObservation, InvalidReliability
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.incremental import absorb
from reliability.observations import Observation
from reliability.posterior import (
    SLOW,
    Timing,
    claim_age_weights,
    credible_interval,
    lower_quantile,
)
from reliability.prior import CLASS_PRIORS, class_prior
from reliability.special import beta_cdf, beta_quantile, digamma, log_gamma
from reliability.table import build_table
from reliability.topics import best_likeness
from reliability.types import BetaPosterior


def test_special_functions_at_known_points() -> None:
    assert digamma(np.array([1.0, 0.5])) == pytest.approx([-0.5772156649, -1.9635100260])
    assert log_gamma(np.array([0.5, 10.0])) == pytest.approx([math.log(math.pi) / 2, 12.8018274801])
    assert float(beta_cdf(np.array(0.3), np.array(1.0), np.array(1.0))) == pytest.approx(0.3)
    assert float(beta_cdf(np.array(0.5), np.array(2.0), np.array(3.0))) == pytest.approx(0.6875)


@given(st.floats(0.3, 500), st.floats(0.3, 500), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_the_quantile_inverts_the_distribution(a: float, b: float, share: float) -> None:
    x = beta_quantile(share, np.array([a]), np.array([b]))
    if 1e-9 < x[0] < 1 - 1e-9:
        assert float(beta_cdf(x, np.array([a]), np.array([b]))[0]) == pytest.approx(share, abs=1e-6)


def test_intervals_hold_and_narrow() -> None:
    few, many = credible_interval(BetaPosterior(4, 2)), credible_interval(BetaPosterior(400, 200))
    assert few.low < many.low < 2 / 3 < many.high < few.high
    assert lower_quantile(BetaPosterior(4, 2)) < lower_quantile(BetaPosterior(400, 200))


@pytest.mark.parametrize(
    ("today", "share"), [(None, 1.0), (180.0, 0.5), (360.0, 0.25), (-9.0, 1.0)]
)
def test_claims_fade_as_time_passes_whether_or_not_anything_is_said(
    today: float | None, share: float
) -> None:
    rows = [Observation(n, "probe", f"q{n}", "a", n) for n in (1, 2)]
    table = build_table(rows)
    assert claim_age_weights(table, SLOW, today) == pytest.approx([share, share])
    fresh = LarderEstimator(LarderConfig()).fit(table).observed
    faded = LarderEstimator(LarderConfig(today=today)).fit(table).observed
    assert fresh is not None
    assert faded is not None
    assert faded == pytest.approx(share * fresh)


def test_a_half_life_is_positive() -> None:
    with pytest.raises(InvalidReliability, match="half-life"):
        Timing(0.0)


def one_source(*stretches: tuple[int, float]) -> FloatArray:
    """`turned_since` of one source with a claim a day: so many days, right with that chance."""
    right = np.concatenate([np.full(days, share) for days, share in stretches])
    zeros = np.zeros(len(right), dtype=np.int64)
    return turned_since(zeros, np.arange(len(right), dtype=np.float64), right, 1 - right, 1)


def test_a_change_to_the_worse_is_dated() -> None:
    assert one_source((60, 0.9), (20, 0.1)).tolist() == [60.0]
    assert one_source((3, 0.9), (25, 0.1)).tolist() == [-math.inf]  # too short a past to tell


@pytest.mark.parametrize(
    "stretches",
    [
        [(80, 0.9)],
        [(60, 0.1), (20, 0.9)],
        [(60, 0.9), (2, 0.1)],
        [(500, 0.9), (500, 0.8)],
        [(1, 0.9)],
    ],
    ids=["steady", "better", "two bad days", "hardly worse", "one claim"],
)
def test_what_is_no_change_to_the_worse(stretches: list[tuple[int, float]]) -> None:
    assert one_source(*stretches).tolist() == [-math.inf]


def test_claims_of_one_day_have_no_order() -> None:
    right = np.array([1.0] * 30 + [0.0] * 30)
    day, source = np.zeros(60), np.zeros(60, dtype=np.int64)
    assert turned_since(source, day, right, 1 - right, 1).tolist() == [-math.inf]
    assert turned_since(source[:0], day[:0], day[:0], day[:0], 0).tolist() == []


def test_sources_are_dated_apart() -> None:
    right = np.array([1.0, 0.9] * 40 + [0.0, 0.9] * 20)
    source = np.tile(np.array([0, 1], dtype=np.int64), 60)
    day = np.repeat(np.arange(60.0), 2)
    assert turned_since(source, day, right, 1 - right, 3).tolist() == [40.0, -math.inf, -math.inf]


def test_small_classes_keep_the_prior_and_large_ones_learn_it() -> None:
    claims = np.array([1.0] * 500 + [200.0])
    group = activity_class(claims)
    assert sorted(set(group.tolist())) == [0, 7]
    two, one = np.full(501, 2.0), np.ones(501)
    alpha, beta = learned_prior(group, 0.2 * claims, 0.8 * claims, two, one)
    assert alpha[0] / (alpha[0] + beta[0]) == pytest.approx(0.26, abs=0.03)
    assert alpha[500] / (alpha[500] + beta[500]) == pytest.approx(2 / 3, abs=0.03)
    assert alpha + beta == pytest.approx(np.full(501, 3.0))


def test_topics_that_do_not_differ_are_pooled() -> None:
    random = np.random.default_rng(0)
    p = random.beta(5, 3, 40)
    same = random.binomial(30, np.repeat(p[:, None], 4, axis=1)).astype(float)
    mixed = random.binomial(30, random.beta(1, 1, (40, 4))).astype(float)
    ones = np.ones(40)
    assert best_likeness(same, 30 - same, ones, ones) > best_likeness(mixed, 30 - mixed, ones, ones)


def test_class_priors() -> None:
    assert class_prior("curated").mean > class_prior("web").mean > class_prior("unknown").mean
    assert set(CLASS_PRIORS) >= {"curated", "official", "internal", "user_upload", "web"}
    with pytest.raises(InvalidReliability, match="unknown class"):
        class_prior("rumour")


def rows_of(sources: int, observations: int) -> list[Observation]:
    random = np.random.default_rng(0)
    return [
        Observation(
            n, "probe", f"q{n // 5}", "right" if random.random() < 0.8 else f"lie {n % 7}",
            int(random.integers(sources)), day=float(n // 100),
        )
        for n in range(observations)
    ]  # fmt: skip


def test_an_update_moves_as_a_refit_would() -> None:
    rows = rows_of(20, 1000)
    news = [Observation(5000 + s, "probe", "new", "right" if s < 4 else "x", s) for s in range(5)]
    estimator = LarderEstimator()
    estimate = estimator.fit(build_table(rows))
    after = absorb(estimator, estimate, news)
    assert after.posterior(0).mean > estimate.posterior(0).mean
    assert after.posterior(4).mean < estimate.posterior(4).mean
    assert after.posterior(10) == estimate.posterior(10)
    refit = estimator.fit(build_table([*rows, *news]))
    assert after.posterior(0).mean == pytest.approx(refit.posterior(0).mean, abs=0.05)


def test_unknown_sources_wait_for_the_refit() -> None:
    estimator = LarderEstimator()
    estimate = estimator.fit(build_table(rows_of(3, 30)))
    assert absorb(estimator, estimate, [Observation(1, "probe", "q", "a", 99)]) is estimate
    two = [Observation(1, "probe", "q", "a", 0), Observation(2, "probe", "r", "a", 0)]
    with pytest.raises(InvalidObservation, match="one question"):
        absorb(estimator, estimate, two)


def test_an_update_costs_a_small_part_of_a_refit() -> None:
    """The aims are 2 s and 5 ms; the command prints the times, this holds their ratio loosely."""
    rows = rows_of(1000, 10_000)
    estimator = LarderEstimator()
    start = perf_counter()
    estimate = estimator.fit(build_table(rows))
    refit = perf_counter() - start
    times = []
    for number in range(10):
        start = perf_counter()
        absorb(estimator, estimate, rows[5 * number : 5 * number + 5])
        times.append(perf_counter() - start)
    assert refit < 20
    assert min(times) < refit / 20
