"""Digamma, the incomplete beta function and its inverse, in numpy. Knows only numbers."""

import math

import numpy as np

from reliability.arrays import FloatArray

SHIFT = 6  # digamma's series is good to 1e-10 from 6 upwards
FRACTION_STEPS = 200
QUANTILE_STEPS = 60  # Newton needs about eight
TINY = 1e-300


def digamma(x: FloatArray) -> FloatArray:
    """psi(x) for x > 0: recurrence up to 6, then the asymptotic series (Abramowitz 6.3.18)."""
    shifted = np.asarray(x, dtype=np.float64).copy()
    result = np.zeros_like(shifted)
    for _ in range(SHIFT):
        small = shifted < SHIFT
        result -= np.where(small, 1 / np.where(small, shifted, 1.0), 0.0)
        shifted += small
    square = 1 / shifted**2
    tail = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240))))
    return np.asarray(result + np.log(shifted) - 0.5 / shifted - tail)


def log_beta(a: FloatArray, b: FloatArray) -> FloatArray:
    """ln B(a, b)."""
    return np.asarray(log_gamma(a) + log_gamma(b) - log_gamma(a + b))


def log_gamma(x: FloatArray) -> FloatArray:
    """ln Gamma(x) for x > 0: recurrence up to 6, then Stirling's series (Abramowitz 6.1.41)."""
    shifted = np.asarray(x, dtype=np.float64).copy()
    product = np.ones_like(shifted)
    for _ in range(SHIFT):
        small = shifted < SHIFT
        product *= np.where(small, shifted, 1.0)
        shifted += small
    square = 1 / shifted**2
    tail = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / shifted
    half = 0.5 * math.log(2 * math.pi)
    return np.asarray((shifted - 0.5) * np.log(shifted) - shifted + half + tail - np.log(product))


def beta_cdf(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Regularised incomplete beta function by Lentz's continued fraction (Abramowitz 26.5.8)."""
    x, a, b = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, a, b)))
    swap = x > (a + 1) / (a + b + 2)
    p, q = np.where(swap, b, a), np.where(swap, a, b)
    inside = np.clip(np.where(swap, 1 - x, x), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        log_front = p * np.log(inside) + q * np.log1p(-inside) - log_beta(p, q) - np.log(p)
    part = np.exp(log_front) * _fraction(inside, p, q)
    return np.asarray(np.clip(np.where(swap, 1 - part, part), 0.0, 1.0))


def _fraction(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    c = np.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, FRACTION_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + even * d)
        c = _away_from_zero(1 + even / c)
        value = value * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away_from_zero(1 + odd * d)
        c = _away_from_zero(1 + odd / c)
        value = value * d * c
        if bool(np.all(np.abs(d * c - 1) < 1e-13)):
            break
    return value


def _away_from_zero(x: FloatArray) -> FloatArray:
    return np.where(np.abs(x) < TINY, TINY, x)


def beta_quantile(share: float, a: FloatArray, b: FloatArray) -> FloatArray:
    """x with P(Beta(a, b) <= x) = share: Newton's steps, or half the bracket if they leave it."""
    a, b = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b)))
    low, high, x = np.zeros(a.shape), np.ones(a.shape), a / (a + b)
    log_norm = log_beta(a, b)
    for _ in range(QUANTILE_STEPS):
        gap = beta_cdf(x, a, b) - share
        low, high = np.where(gap < 0, x, low), np.where(gap < 0, high, x)
        density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - log_norm)
        step = x - gap / np.maximum(density, TINY)
        moved = np.where((step > low) & (step < high), step, (low + high) / 2)
        is_done = bool(np.all(np.abs(moved - x) <= 1e-12))
        x = np.clip(moved, TINY, 1 - 1e-16)
        if is_done:
            break
    return x
