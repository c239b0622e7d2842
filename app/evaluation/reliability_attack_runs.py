"""Runs of attacks: how often the attacker's answer wins, by strength, and what honesty costs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from app.evaluation.reliability_attacks import ATTACKS
from app.evaluation.reliability_quality import Row
from app.evaluation.reliability_scene import TARGETS, Scene, honest_scene
from app.evaluation.reliability_served import served_answers
from app.evaluation.statistics import bootstrap
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.estimators.majority import Majority
from reliability.estimators.protocol import Estimator
from reliability.families.find import FamilyConfig, find_families
from reliability.families.habits import copying_pairs, count_once
from reliability.observations import Observation
from reliability.table import build_table
from reliability.voting import winners


def attack_rows(names: Sequence[str], draws: int, progress: Callable[[], None]) -> list[Row]:
    """Accuracy and the attacker's success on the targets: plain, majority, larder with all it knows
    of a scene (meaning, days, first days), and served: as a server answers them."""
    rows: list[Row] = []
    for name in names:
        attack, strengths, topics = ATTACKS[name]
        for strength in strengths:
            results: dict[str, list[tuple[float, float]]] = {}
            for seed in range(draws):
                scene = honest_scene(np.random.default_rng([seed, strength]), topics)
                attack(scene, strength)
                for system, found in _answers(scene).items():
                    results.setdefault(system, []).append(_score(scene, found))
                progress()
            for system, pairs in results.items():
                rows.append(_row(name, strength, system, pairs))
    return rows


def _row(name: str, strength: int, system: str, pairs: Sequence[tuple[float, float]]) -> Row:
    right = bootstrap([pair[0] for pair in pairs])
    success = bootstrap([pair[1] for pair in pairs])
    return {
        "world": f"attack_{name}",
        "estimator": system,
        "accuracy": right.mean,
        "low": right.low,
        "high": right.high,
        "ece": None,
        "n": len(pairs) * TARGETS,
        "strength": strength,
        "success": success.mean,
        "success_low": success.low,
        "success_high": success.high,
    }


def _answers(scene: Scene) -> dict[str, dict[str, str]]:
    """The answer of each system to each target."""
    families = find_families(
        scene.passages, FamilyConfig(cosine_limit=scene.cosine_limit())
    ).family_of
    config = LarderConfig(probation=10.0)
    as_passages = [
        Observation(r.observation_id, r.kind, r.question, r.answer, place, verdict=r.verdict)
        for place, r in enumerate(scene.rows)
        if r.kind == "probe"
    ]
    with_families = [replace(r, family=families.get(r.observation_id)) for r in scene.rows]
    copiers = copying_pairs(row for row in with_families if row.question not in scene.false)
    with_families = list(count_once(with_families, copiers))
    return {
        "plain": _vote(Majority(), as_passages, scene),
        "majority": _vote(Majority(), scene.rows, scene),
        "larder": _vote(LarderEstimator(config), with_families, scene),
        "served": served_answers(scene),
    }


def _vote(estimator: Estimator, rows: Sequence[Observation], scene: Scene) -> dict[str, str]:
    """Learn from everything before the targets, then answer these."""
    past = build_table(row for row in rows if row.question not in scene.false)
    asked = build_table(row for row in rows if row.question in scene.false)
    chance = estimator.predict(asked, estimator.fit(past))
    best = winners(asked, chance)
    return {q: asked.values[best[i]] for i, q in enumerate(asked.questions) if best[i] >= 0}


def _score(scene: Scene, found: dict[str, str]) -> tuple[float, float]:
    """Share of targets answered right, and share that got the attacker's answer."""
    right = [found.get(question) == scene.truths[question] for question in scene.false]
    taken = [found.get(question) == answer for question, answer in scene.false.items()]
    return float(np.mean(right)), float(np.mean(taken))
