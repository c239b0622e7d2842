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
# A vote says no more than that, however many nats it sums to: people, who err twice in a hundred,
# do not teach what happens once in a thousand. On worlds 1e-4 to 1e-3 give the same ECE and Brier.
CLIP = 1e-3
# Pull towards the starting line in labels. Towards the identity little: it only keeps labels that
# all agree from saying "never". Towards a line that was learned from other questions 4: of 0.1, 1,
# 4 and 10 it had the lowest ECE with 20 labels (0.016 over nine worlds; 0.038 with 0.1).
WEAK_PULL, PULL = 0.1, 4.0
STEPS = 50

Method = Literal["platt", "isotonic"]
Origin = Literal["labels", "worlds"]


@dataclass(frozen=True, slots=True)
class Line:
    """log odds of the chance = slope x log odds of the score + offset."""

    slope: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A rising map of scores to chances: straight between its knots (log odds), flat outside."""

    method: Method
    score_odds: tuple[float, ...]
    chance_odds: tuple[float, ...]
    labels: int

    def __post_init__(self) -> None:
        known = np.array([self.score_odds, self.chance_odds])
        if not known.size or not bool(np.all(np.isfinite(known))):
            raise NotCalibrated("a calibrator needs finite knots")
        if not bool(np.all(np.diff(known[0]) > 0)) or not bool(np.all(np.diff(known[1]) >= 0)):
            raise NotCalibrated("a calibrator rises from knot to knot")

    def __call__(self, scores: FloatArray) -> FloatArray:
        odds = np.interp(_log_odds(scores), self.score_odds, self.chance_odds)
        return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrator and what it rests on: judged answers here, or generated worlds.

    `thumbs` of users count a tenth of an answer that a person labelled. `version` is that of the
    beliefs it was learned with, 0 for the one that comes with the program.
    """

    calibrator: Calibrator
    origin: Origin
    answers: int
    thumbs: int = 0
    version: int = 0
    accept: float | None = None  # chance from which on answers are given; None: too few to tell


def fit_calibrator(
    scores: FloatArray,
    outcome: FloatArray,
    weight: FloatArray | None = None,
    start: Line | None = None,
) -> Calibrator:
    """Learn the map from labelled questions: `outcome` is 1 where the leading value was right.

    `weight` is what each counts, in labels. Few labels stay near `start`, where that was learned
    elsewhere. Raises `NotCalibrated` for too few labels, or figures that are none.
    """
    weight = np.ones(len(scores)) if weight is None else weight
    if float(weight.sum()) < FEWEST_LABELS:
        raise NotCalibrated(f"{weight.sum():g} labelled questions; {FEWEST_LABELS} are needed")
    figures = np.array([scores, outcome, weight])
    if not bool(np.all(np.isfinite(figures))) or not bool(np.all((outcome >= 0) & (outcome <= 1))):
        raise NotCalibrated("scores must be finite and outcomes lie in [0, 1]")
    if not bool(np.all(weight >= 0)):
        raise NotCalibrated("no label weighs less than nothing")
    if float(weight.sum()) >= ISOTONIC_FROM:
        return _isotonic(scores, outcome, weight)
    pull = WEAK_PULL if start is None else PULL
    return calibrator_of(fit_line(scores, outcome, weight, start or Line(), pull), len(scores))


def calibrator_of(line: Line, labels: int) -> Calibrator:
    ends = _log_odds(np.array([0.0, 1.0]))
    stated = line.slope * ends + line.offset
    return Calibrator("platt", tuple(ends.tolist()), tuple(stated.tolist()), labels)


def fit_line(
    scores: FloatArray, outcome: FloatArray, weight: FloatArray, start: Line, pull: float
) -> Line:
    """Platt's line by Newton's method with halved steps; the loss is convex."""
    x = _log_odds(scores)
    design = np.stack([x, np.ones_like(x)], axis=1)
    first = np.array([start.slope, start.offset])
    line = first.copy()

    def loss(at: FloatArray) -> float:
        odds = design @ at
        fit = float((weight * (np.logaddexp(0, odds) - outcome * odds)).sum())
        return fit + pull / 2 * float(((at - first) ** 2).sum())

    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(design @ line)))
        gradient = design.T @ (weight * (p - outcome)) + pull * (line - first)
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + pull * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        size = 1.0
        while size > 1e-6 and loss(line - size * step) > loss(line):
            size /= 2
        line = line - size * step
        if float(np.abs(step).max()) < 1e-9:
            break
    if line[0] < 0:  # scores that say nothing, or the opposite: the share that was right, for all
        share = (float((weight * outcome).sum()) + 0.5) / (float(weight.sum()) + 1)
        return Line(0.0, math.log(share / (1 - share)))
    return Line(float(line[0]), float(line[1]))


def _log_odds(scores: FloatArray) -> FloatArray:
    inside = np.clip(scores, CLIP, 1 - CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _isotonic(scores: FloatArray, outcome: FloatArray, weight: FloatArray) -> Calibrator:
    """Pool adjacent violators; each block shrinks by one label's worth of the overall mean."""
    order = np.argsort(scores, kind="stable")
    blocks: list[list[float]] = []  # sums of outcomes, of weights, of scores
    for place in order.tolist():
        mass = float(weight[place])
        blocks.append([mass * float(outcome[place]), mass, mass * float(scores[place])])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    overall = float((weight * outcome).sum() / weight.sum())
    x = _log_odds(np.array([block[2] / max(block[1], 1e-12) for block in blocks]))
    y = np.array([(block[0] + overall) / (block[1] + 1) for block in blocks])
    chance = _log_odds(np.maximum.accumulate(y))
    is_new = np.append(True, np.diff(x) > 0)
    knots = x[is_new].tolist(), chance[is_new].tolist()
    return Calibrator("isotonic", tuple(knots[0]), tuple(knots[1]), len(scores))


def _mean(block: list[float]) -> float:
    return block[0] / max(block[1], 1e-12)


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
