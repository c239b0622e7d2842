"""Attacks on the vote: how often the attacker's answer wins, by strength, and what honesty costs.

Nine honest sources (right with chance 0.85, coverage 0.6), 200 probes, 100 questions attacked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from app.evaluation.reliability_quality import Row
from app.evaluation.reliability_scene import DAYS, PROBES, TARGETS, Scene, day_of, honest_scene
from app.evaluation.statistics import bootstrap
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.estimators.majority import Majority
from reliability.estimators.protocol import Estimator
from reliability.families.find import FamilyConfig, find_families
from reliability.families.restatement import cosine_limit
from reliability.observations import FEEDBACK_PER_AUTHOR_AND_DAY, Observation
from reliability.prior import CLASS_PRIORS
from reliability.table import build_table
from reliability.voting import winners

LABELLED = 20
ATTACKER = 100  # first id of the attacker's accounts

Attack = Callable[[Scene, int], None]


def born_apart(account: int) -> float:
    """First day of an account made months apart from the attacker's others, long before."""
    return -30.0 * (account + 40)


def poison(scene: Scene, strength: int) -> None:
    """So many false texts a question, restated, each by a new account (whitewashing)."""
    account = ATTACKER
    for question, answer in scene.false.items():
        for _ in range(strength):
            scene.claim(question, account, answer, day=DAYS, first_day=DAYS)
            account += 1


def poison_staggered(scene: Scene, strength: int) -> None:
    """The same by accounts made long before, months apart, that never spoke: L2 sees nothing."""
    account = ATTACKER
    for question, answer in scene.false.items():
        for _ in range(strength):
            scene.claim(question, account, answer, day=DAYS, first_day=-30.0 * account)
            account += 1


def many_files(scene: Scene, strength: int) -> None:
    """One account uploads so many files a question."""
    for question, answer in scene.false.items():
        for _ in range(strength):
            scene.claim(question, ATTACKER, answer, day=DAYS)


def sybils(scene: Scene, strength: int) -> None:
    """Accounts made together that lie everywhere, probes included, always alike, restated."""
    for number, question in enumerate(scene.truths):
        lie, day = scene.lie(question), day_of(number)
        for account in range(strength):
            scene.claim(question, ATTACKER + account, lie, day=day, first_day=0.0)


def sybils_patient(scene: Scene, strength: int) -> None:
    """The same by accounts made months apart, in words of their own: only labels would tell."""
    _sybils_apart(scene, strength, copied=0.0)


def sybils_copied(scene: Scene, strength: int) -> None:
    """The same with four in five texts copied: L1 finds those, habits the others."""
    _sybils_apart(scene, strength, copied=0.8)


def _sybils_apart(scene: Scene, strength: int, *, copied: float) -> None:
    for number, question in enumerate(scene.truths):
        lie, text, day = scene.lie(question), scene.words(), day_of(number)
        for account in range(strength):
            shown = text if scene.random.random() < copied else None
            born = born_apart(account)
            scene.claim(question, ATTACKER + account, lie, text=shown, day=day, first_day=born)


def camouflage(scene: Scene, strength: int) -> None:
    """Right on three topics, wrong together on the fourth; twenty labels are in that topic."""
    for number, (question, truth) in enumerate(scene.truths.items()):
        is_target = scene.topics[question] == "t3"
        answer = scene.lie(question) if is_target else truth
        for account in range(strength):
            scene.claim(
                question,
                ATTACKER + account,
                answer,
                topic=scene.topics[question],
                day=day_of(number),
                first_day=born_apart(account),
            )
    scene.false = {q: a for q, a in scene.false.items() if scene.topics[q] == "t3"}
    for number in range(3, 4 * LABELLED, 4):
        scene.say("label", f"q{number}", scene.truths[f"q{number}"], "curator", DAYS)


def on_off(scene: Scene, strength: int) -> None:
    """Right for three quarters of the probes, then lying together; accounts made months apart."""
    for number, (question, truth) in enumerate(scene.truths.items()):
        lies = number >= PROBES * 3 // 4
        answer, day = scene.lie(question) if lies else truth, day_of(number)
        for account in range(strength):
            born = born_apart(account)
            scene.claim(question, ATTACKER + account, answer, day=day, first_day=born)


def on_off_checked(scene: Scene, strength: int) -> None:
    """The same, but a person answered twenty of the latest probes."""
    on_off(scene, strength)
    for number in range(PROBES - LABELLED, PROBES):
        scene.say("label", f"q{number}", scene.truths[f"q{number}"], "curator", DAYS)


def brigade(scene: Scene, strength: int) -> None:
    """So many users give a thumb to the false answer of every target, as often as they may."""
    for question, answer in scene.false.items():
        scene.claim(question, ATTACKER, answer, day=DAYS)
    for user in range(strength):
        for place, (question, answer) in enumerate(scene.false.items()):
            day = DAYS + place // FEEDBACK_PER_AUTHOR_AND_DAY
            scene.say("feedback", question, answer, f"user {user}", day)


def framing(scene: Scene, strength: int) -> None:
    """Accounts copy an honest source word for word, so that it is taken for one of them."""
    copied = [p for p in scene.passages if p.source == 0]
    for account in range(strength):
        for passage in copied:
            row = scene.rows[passage.passage_id]
            scene.claim(
                row.question,
                ATTACKER + account,
                str(row.answer),
                text=passage.text,
                day=row.day,
                first_day=born_apart(account),
            )


ATTACKS: dict[str, tuple[Attack, Sequence[int], int]] = {
    "none": (lambda _scene, _strength: None, (0,), 1),
    "poison": (poison, (1, 2, 3, 4, 5), 1),
    "poison_staggered": (poison_staggered, (1, 2, 3, 4, 5), 1),
    "many_files": (many_files, (1, 2, 3, 4, 5), 1),
    "sybils": (sybils, (1, 2, 4, 8, 12), 1),
    "sybils_patient": (sybils_patient, (1, 2, 4, 8, 12), 1),
    "sybils_copied": (sybils_copied, (1, 2, 4, 8, 12), 1),
    "camouflage": (camouflage, (1, 2, 4), 4),
    "on_off": (on_off, (1, 2, 4), 1),
    "on_off_checked": (on_off_checked, (1, 2, 4), 1),
    "brigade": (brigade, (1, 3, 5, 12), 1),
    "framing": (framing, (1, 4), 1),
}


def attack_rows(names: Sequence[str], draws: int, progress: Callable[[], None]) -> list[Row]:
    """Accuracy and the attacker's success on the targets: plain, majority, larder."""
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
    pairs = scene.random.integers(0, len(scene.passages), (2000, 2)).tolist()
    vectors = [p.embedding for p in scene.passages]
    limit = cosine_limit(
        float(a @ b)
        for i, j in pairs
        if (a := vectors[i]) is not None and (b := vectors[j]) is not None
        and scene.passages[i].question != scene.passages[j].question
    )  # fmt: skip
    families = find_families(scene.passages, FamilyConfig(cosine_limit=limit)).family_of
    config = LarderConfig(prior=CLASS_PRIORS["unknown"], probation=10.0)
    as_passages = [
        Observation(r.observation_id, r.kind, r.question, r.answer, place, verdict=r.verdict)
        for place, r in enumerate(scene.rows)
        if r.kind == "probe"
    ]
    with_families = [replace(r, family=families.get(r.observation_id)) for r in scene.rows]
    return {
        "plain": _vote(Majority(), as_passages, scene),
        "majority": _vote(Majority(), scene.rows, scene),
        "larder": _vote(LarderEstimator(config), with_families, scene),
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
