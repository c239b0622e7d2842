"""From a vote's score to a chance that holds: Platt's line for few labels, isotonic for many."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reliability.arrays import FloatArray
from reliability.errors import NotCalibrated
from reliability.special import beta_quantile

FEWEST_LABELS = 20
ISOTONIC_FROM = 1000  # at 240 labels Platt had the lower Brier in four of four worlds
CLIP = 1e-4  # a vote says no more than that, however many nats it sums to
RIDGE = 0.1  # pull towards the identity line: keeps labels that all agree from saying "never"
STEPS = 50
IDENTITY = np.array([1.0, 0.0])

Method = Literal["platt", "isotonic"]


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A rising piecewise-linear map of scores (both in [0, 1]), and how many labels made it."""

    method: Method
    scores: tuple[float, ...]
    stated: tuple[float, ...]
    labels: int

    def __call__(self, scores: FloatArray) -> FloatArray:
        return np.asarray(np.interp(scores, self.scores, self.stated))


def fit_calibrator(scores: FloatArray, outcome: FloatArray) -> Calibrator:
    """Learn the map from labelled questions: `outcome` is 1 where the leading value was right."""
    if len(scores) < FEWEST_LABELS:
        raise NotCalibrated(f"{len(scores)} labelled questions; {FEWEST_LABELS} are needed")
    if not bool(np.all(np.isfinite(scores))) or not bool(np.all((outcome >= 0) & (outcome <= 1))):
        raise NotCalibrated("scores must be finite and outcomes lie in [0, 1]")
    if len(scores) >= ISOTONIC_FROM:
        return _isotonic(scores, outcome)
    return _platt(scores, outcome)


def _platt(scores: FloatArray, outcome: FloatArray) -> Calibrator:
    """sigmoid(a logit(score) + b) by Newton's method with halved steps; the loss is convex."""
    x = _logit(scores)
    design = np.stack([x, np.ones_like(x)], axis=1)
    line = IDENTITY.copy()
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(design @ line)))
        gradient = design.T @ (p - outcome) + RIDGE * (line - IDENTITY)
        curve = (design * (p * (1 - p))[:, None]).T @ design + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        size = 1.0
        while size > 1e-6 and _loss(design, outcome, line - size * step) > _loss(
            design, outcome, line
        ):
            size /= 2
        line = line - size * step
        if float(np.abs(step).max()) < 1e-9:
            break
    if line[0] < 0:  # scores that say nothing, or the opposite: the share that was right, for all
        share = (float(outcome.sum()) + 0.5) / (len(outcome) + 1)
        line = np.array([0.0, math.log(share / (1 - share))])
    grid = np.linspace(0, 1, 201)
    stated = 1 / (1 + np.exp(-(line[0] * _logit(grid) + line[1])))
    return Calibrator("platt", tuple(grid.tolist()), tuple(stated.tolist()), len(scores))


def _loss(design: FloatArray, outcome: FloatArray, line: FloatArray) -> float:
    """Negative log likelihood plus the ridge."""
    odds = design @ line
    fit = float((np.logaddexp(0, odds) - outcome * odds).sum())
    return fit + RIDGE / 2 * float(((line - IDENTITY) ** 2).sum())


def _logit(scores: FloatArray) -> FloatArray:
    inside = np.clip(scores, CLIP, 1 - CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _isotonic(scores: FloatArray, outcome: FloatArray) -> Calibrator:
    """Pool adjacent violators; each block shrinks by one label's worth of the overall mean."""
    order = np.argsort(scores, kind="stable")
    blocks: list[list[float]] = []  # sum of outcomes, count, sum of scores
    for score, right in zip(scores[order].tolist(), outcome[order].tolist(), strict=True):
        blocks.append([right, 1.0, score])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    overall = float(outcome.mean())
    x = [block[2] / block[1] for block in blocks]
    y = [(block[0] + overall) / (block[1] + 1) for block in blocks]
    return Calibrator("isotonic", tuple(x), tuple(np.maximum.accumulate(y).tolist()), len(scores))


def _mean(block: list[float]) -> float:
    return block[0] / block[1]


def answer_threshold(
    stated: FloatArray, outcome: FloatArray, *, target_error: float = 0.1, sure: float = 0.95
) -> float | None:
    """Least chance from which on answers err below the target, surely (Clopper-Pearson's bound).

    None where no threshold holds: then every question is left to a person.
    """
    order = np.argsort(-stated, kind="stable")
    wrong = np.cumsum(1 - outcome[order])
    answered = np.arange(1, len(order) + 1)
    rest = np.maximum(answered - wrong, 1e-9)
    bound = np.where(wrong < answered, beta_quantile(sure, wrong + 1, rest), 1.0)
    ordered = stated[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)  # equal chances are answered together
    good = np.flatnonzero((bound <= target_error) & is_last)
    return float(ordered[good[-1]]) if len(good) else None
