"""How well estimators find the truth in worlds: accuracy, calibration, belief in sources."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from app.evaluation.reliability_answers import JOINED, answers, cross_fit, learned_answers
from app.evaluation.reliability_oracle import Oracle
from app.evaluation.reliability_world import World
from app.evaluation.statistics import Interval, bootstrap
from reliability.arrays import FloatArray
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.estimators.protocol import Estimate, Estimator
from reliability.estimators.registry import make_estimator
from reliability.estimators.two_sided import names_lists
from reliability.measures import brier, expected_calibration_error, spearman
from reliability.observations import Observation
from reliability.posterior import NEVER
from reliability.special import beta_quantile
from reliability.table import ClaimTable, build_table

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One estimator in one world. `stated` is calibrated on other questions."""

    right: FloatArray  # [n] 1 where the answer is right
    learned: FloatArray  # [n] the same, `ACCEPTED` learned on other questions; [0] one truth
    raw: FloatArray  # [n]
    stated: FloatArray  # [n]
    spearman: float | None
    held: FloatArray  # whether each 80 % interval holds the true reliability
    fit_ms: float


def evaluate(world: World, name: str, seed: int = 0) -> Outcome:
    """Fit on the world's probes, answer its tests, compare with its truths."""
    estimator = _estimator(world, name)
    probes = build_table(world.probes)
    as_lists = world.takes_several and not estimator.takes_several and names_lists(probes)
    if as_lists:
        probes = build_table(_joined(world.probes))
    tests = _tests(world, probes, as_lists=as_lists)
    start = perf_counter()
    estimate = estimator.fit(probes)
    fit_ms = 1000 * (perf_counter() - start)
    chance = estimator.predict(tests, estimate)
    several = estimator.takes_several and world.takes_several
    right, raw = answers(world, tests, chance, several=several)
    learned = learned_answers(world, tests, chance, seed) if several else np.zeros(0)
    stated = cross_fit(raw, right, seed)
    correlation, held = _beliefs(world, estimate)
    return Outcome(right, learned, raw, stated, correlation, held, fit_ms)


def _estimator(world: World, name: str) -> Estimator:
    """Files without dates have no days to cap and nothing to forget."""
    if name == "oracle":
        return Oracle(world)
    if name == "larder" and not world.takes_several and not world.is_dated:
        config = LarderConfig(timing=NEVER, probes_per_day=float("inf"))
        return LarderEstimator(config)
    return make_estimator(name, takes_several=world.takes_several)


def _tests(world: World, probes: ClaimTable, *, as_lists: bool) -> ClaimTable:
    if not world.tests:
        return probes
    return build_table(_joined(world.tests) if as_lists else world.tests)


def _joined(rows: Sequence[Observation]) -> list[Observation]:
    """Each source's values of a question as one value: what a vote on whole lists counts."""
    groups: dict[tuple[int | None, str], list[Observation]] = defaultdict(list)
    for row in rows:
        groups[row.source, row.question].append(row)
    joined = []
    for group in groups.values():
        parts = sorted({row.answer for row in group if row.answer})
        joined.append(replace(group[0], answer=JOINED.join(parts) or None, family=None))
    return joined


def _beliefs(world: World, estimate: Estimate) -> tuple[float | None, FloatArray]:
    """Rank correlation with the true reliabilities, and which intervals hold them."""
    places = [
        (row, column, world.reliability[source, topic])
        for row, source in enumerate(estimate.sources)
        for column, topic in enumerate(estimate.topics)
        if (source, topic) in world.reliability
    ]
    if not places:
        return None, np.zeros(0)
    rows, columns, true = (np.array(part) for part in zip(*places, strict=True))
    alpha, beta = estimate.alpha[rows, columns], estimate.beta[rows, columns]
    low, high = beta_quantile(0.1, alpha, beta), beta_quantile(0.9, alpha, beta)
    varies = len(set(true.tolist())) > 2  # two levels only have ties, which no estimate can match
    correlation = spearman(alpha / (alpha + beta), true) if varies else None
    return correlation, ((low <= true) & (true <= high)).astype(np.float64)


def compare(
    make: Callable[[int], World], names: Sequence[str], worlds: int, progress: Callable[[], None]
) -> tuple[list[Row], Mapping[str, list[Outcome]]]:
    """A row an estimator over `worlds` draws, and the outcomes that the plots are made of."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    world = make(0)
    if not world.probe_truths:  # a file, or lists: nothing to look behind
        names = [name for name in names if name != "oracle"]
    for seed in range(worlds):
        world = make(seed) if seed else world
        for name in names:
            outcomes[name].append(evaluate(world, name, seed))
        progress()
    same_questions = not world.tests and bool(world.wrong or worlds == 1)
    rows = [
        summarise(world.name, name, found, over_questions=same_questions)
        for name, found in outcomes.items()
    ]
    return rows, outcomes


def summarise(world: str, name: str, outcomes: Sequence[Outcome], *, over_questions: bool) -> Row:
    """One row. The interval is over worlds, or over questions where all draws share them."""
    means = (
        np.mean([outcome.right for outcome in outcomes], axis=0)
        if over_questions
        else np.array([outcome.right.mean() for outcome in outcomes])
    )
    interval: Interval = bootstrap(means.tolist())
    right, learned, raw, stated, held = (
        np.concatenate([getattr(outcome, field) for outcome in outcomes])
        for field in ("right", "learned", "raw", "stated", "held")
    )
    known = [outcome.spearman for outcome in outcomes if outcome.spearman is not None]
    return {
        "world": world,
        "estimator": name,
        "accuracy": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "learned": float(learned.mean()) if len(learned) else None,
        "ece": expected_calibration_error(stated, right),
        "n": len(right),
        "worlds": len(outcomes),
        "ece_raw": expected_calibration_error(raw, right),
        "brier": brier(stated, right),
        "spearman": float(np.mean(known)) if known else None,
        "held_80": float(held.mean()) if len(held) else None,
        "fit_ms": float(np.median([outcome.fit_ms for outcome in outcomes])),
    }
