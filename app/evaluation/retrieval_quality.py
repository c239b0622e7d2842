"""How well each search ranks (`larder eval retrieval`): nDCG@10 with intervals, recall, latency.

All systems answer the same questions, so differences to `hybrid` are paired.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.ranking_measures import ndcg, paired, recall
from app.evaluation.retrieval_sets import JudgedQuestion
from app.evaluation.retrieval_systems import Evidence, Search, SearchSystems
from app.evaluation.statistics import bootstrap
from retrieval.config import RankingConfig
from retrieval.fusion import convex_combination

OURS = "hybrid"
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))

Row = dict[str, object]
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One system's measures, question by question."""

    ndcg: list[float]
    recall: list[float]
    milliseconds: list[float]


async def measure(
    search: Search, questions: Sequence[JudgedQuestion], progress: Progress
) -> Ranked:
    ranked = Ranked([], [], [])
    for question in questions:
        began = time.perf_counter()
        places = await search(question.text)
        ranked.milliseconds.append(1e3 * (time.perf_counter() - began))
        ranked.ndcg.append(ndcg(places, question.relevant))
        ranked.recall.append(recall(places, question.relevant))
        progress()
    return ranked


def summarise(results: Mapping[str, Ranked]) -> list[Row]:
    """One flat row a system; `behind_hybrid` is how much nDCG it lacks, with its interval."""
    ours = results.get(OURS)
    rows = []
    for system, ranked in results.items():
        interval = bootstrap(ranked.ndcg)
        row: Row = {
            "system": system,
            "ndcg_at_10": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "recall_at_20": float(np.mean(ranked.recall)),
            "latency_ms_p50": float(np.median(ranked.milliseconds)),
            "n": len(ranked.ndcg),
        }
        if ours is not None and system != OURS:
            behind = paired(ours.ndcg, ranked.ndcg)
            row |= {
                "behind_hybrid": behind.mean,
                "behind_low": behind.low,
                "behind_high": behind.high,
            }
        rows.append(row)
    return rows


@dataclass(frozen=True, slots=True)
class Tuned:
    """A weight chosen on one half of the questions, and what it is worth on the other."""

    dense_weight: float
    questions: int  # of the half it was chosen on
    rows: list[Row]


async def tune(
    systems: SearchSystems, questions: Sequence[JudgedQuestion], progress: Progress
) -> Tuned:
    """Questions are in random order already; every other one is kept for the figures."""
    found = []
    for question in questions:
        found.append((await systems.evidence(question.text), question))
        progress()
    chosen_on, kept = found[::2], found[1::2]
    default = RankingConfig().dense_weight
    means = {weight: np.mean(_gains(chosen_on, weight)) for weight in WEIGHTS}
    # Of equally good weights the one nearest to the default.
    best = max(WEIGHTS, key=lambda weight: (round(means[weight], 6), -abs(weight - default)))
    rows = [
        _row("default", default, _gains(kept, default)),
        _row("tuned", best, _gains(kept, best)),
    ]
    gained = paired(_gains(kept, best), _gains(kept, default))
    rows[1] |= {"gain": gained.mean, "gain_low": gained.low, "gain_high": gained.high}
    return Tuned(best, len(chosen_on), rows)


def _gains(found: Sequence[tuple[Evidence, JudgedQuestion]], weight: float) -> list[float]:
    return [ndcg(_fused(evidence, weight), question.relevant) for evidence, question in found]


def _fused(evidence: Evidence, weight: float) -> list[int]:
    scores = convex_combination(
        evidence.by_words, evidence.by_vectors, evidence.spread, weight, evidence.zero
    )
    return sorted(scores, key=lambda place: (-scores[place], place))


def _row(system: str, weight: float, gains: Sequence[float]) -> Row:
    interval = bootstrap(gains)
    return {
        "system": system,
        "dense_weight": weight,
        "ndcg_at_10": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n": len(gains),
    }
