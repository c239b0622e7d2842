"""From a fold to beliefs and back: run an estimator, write its estimate as rows, read it again.

Pure: knows rows and numbers, no database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from app.db.reliability_rows import ObservationRow, PosteriorRow, VersionRow
from app.db.sources import PRIOR_ALPHA, PRIOR_BETA
from app.sources.fold import Circumstances, fold
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.estimators.protocol import Estimate, Estimator
from reliability.estimators.registry import make_estimator
from reliability.families.habits import copying_pairs, count_once
from reliability.observations import ObservationLog
from reliability.special import beta_quantile
from reliability.table import build_table
from reliability.types import BetaPosterior

DEFAULT_ESTIMATOR = "larder"
TAIL = 0.1  # the interval holds 80 %
NOBODY_SAID = PRIOR_ALPHA, PRIOR_BETA


def build_estimator(name: str, circumstances: Circumstances) -> Estimator:
    """Only our own estimator starts a source where its class or a person says; what those start at
    of whom nobody said anything it learns from sources as active."""
    if name != DEFAULT_ESTIMATOR:
        return make_estimator(name)
    stated = {
        source: BetaPosterior(*prior)
        for source, prior in circumstances.priors.items()
        if prior != NOBODY_SAID
    }
    prior = BetaPosterior(*NOBODY_SAID)
    return LarderEstimator(LarderConfig(prior, stated, today=circumstances.today))


def fit(name: str, log: ObservationLog, circumstances: Circumstances) -> Estimate | None:
    """None where no source has said anything yet."""
    table = build_table(log.rows)
    if not table.sources:
        return None
    return build_estimator(name, circumstances).fit(table)


def fold_and_fit(
    name: str, rows: Sequence[ObservationRow], circumstances: Circumstances
) -> tuple[Circumstances, ObservationLog, Estimate | None]:
    """Who copies from whom shows over many questions, so it is learned here, from all of them."""
    found = fold(rows, circumstances)
    circumstances = replace(circumstances, copiers=copying_pairs(found.rows))
    log = ObservationLog(count_once(found.rows, circumstances.copiers))
    return circumstances, log, fit(name, log, circumstances)


def to_rows(estimate: Estimate | None) -> list[PosteriorRow]:
    """Each source over all topics (topic None), then topic by topic."""
    if estimate is None:
        return []
    rows = []
    for place, source in enumerate(estimate.sources):
        whole = estimate.posterior(source)
        rows.append(PosteriorRow(source, None, whole.alpha, whole.beta, 0.0, 0.0))
        for column, topic in enumerate(estimate.topics):
            at = place, column
            rows.append(
                PosteriorRow(
                    source_id=source,
                    topic=topic,
                    alpha=float(estimate.alpha[at]),
                    beta=float(estimate.beta[at]),
                    low=0.0,
                    high=0.0,
                    weight=float(estimate.weight[at]),
                    silence=float(estimate.silence[at]),
                    observed=None if estimate.observed is None else float(estimate.observed[at]),
                )
            )
    return _with_intervals(rows)


def _with_intervals(rows: Sequence[PosteriorRow]) -> list[PosteriorRow]:
    """All quantiles at once: one by one they cost five times the estimate itself."""
    alpha, beta = (np.array([getattr(row, name) for row in rows]) for name in ("alpha", "beta"))
    lows, highs = beta_quantile(TAIL, alpha, beta), beta_quantile(1 - TAIL, alpha, beta)
    return [
        replace(row, low=float(low), high=float(high))
        for row, low, high in zip(rows, lows, highs, strict=True)
    ]


def from_rows(version: VersionRow, rows: Sequence[PosteriorRow]) -> Estimate | None:
    """The estimate a version was written from; None where it had no sources."""
    rows = [row for row in rows if row.topic is not None]
    if not rows:
        return None
    sources = tuple(dict.fromkeys(row.source_id for row in rows))
    topics = tuple(dict.fromkeys(str(row.topic) for row in rows))
    shape = (len(sources), len(topics))

    def grid(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        values = [getattr(row, name) for row in rows]
        return np.array(values, dtype=np.float64).reshape(shape)

    return Estimate(
        estimator=version.estimator,
        sources=sources,
        topics=topics,
        alpha=grid("alpha"),
        beta=grid("beta"),
        weight=grid("weight"),
        silence=grid("silence"),
        default_weight=version.default_weight,
        rounds=version.rounds,
        wrong_options=version.wrong_options,
        observed=None if rows[0].observed is None else grid("observed"),
    )


def beliefs_of(
    estimate: Estimate | None, circumstances: Circumstances, source_ids: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """(alpha, beta) of every source: its owner's posterior, or what its owner started with."""
    learned = set(estimate.sources) if estimate else set()
    found = {}
    for source in source_ids:
        owner = circumstances.owner(source)
        if estimate is not None and owner in learned:
            belief = estimate.posterior(owner)
            found[source] = (belief.alpha, belief.beta)
        else:
            found[source] = circumstances.priors[owner]
    return found


def to_settings(circumstances: Circumstances) -> dict[str, object]:
    """As JSON holds it: keys are text."""
    return {
        "owners": {str(key): value for key, value in circumstances.owners.items()},
        "quarantined": sorted(circumstances.quarantined),
        "priors": {str(key): list(value) for key, value in circumstances.priors.items()},
        "copiers": [list(pair) for pair in sorted(circumstances.copiers)],
        "today": circumstances.today,
    }


def from_settings(settings: Mapping[str, object]) -> Circumstances:
    owners, priors = settings["owners"], settings["priors"]
    quarantined, copiers = settings["quarantined"], settings.get("copiers", [])
    assert isinstance(owners, dict)
    assert isinstance(priors, dict)
    assert isinstance(quarantined, list)
    assert isinstance(copiers, list)
    today = settings.get("today")  # versions of before had none
    return Circumstances(
        {int(key): value for key, value in owners.items()},
        frozenset(quarantined),
        {int(key): (alpha, beta) for key, (alpha, beta) in priors.items()},
        frozenset((one, other) for one, other in copiers),
        float(today) if isinstance(today, int | float) else None,
    )
