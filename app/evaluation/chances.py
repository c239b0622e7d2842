"""How far the chances in verdicts hold: a world's claims through the database, beliefs, verdicts.

A perfect reader stands in for the decoder; everything else is what answers questions.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from app.answer.verdict import Basis, Heard, judge_passages
from app.db.rows import SourceRow
from app.evaluation.beliefs_database import open_beliefs
from app.evaluation.reliability_heard import heard_claim
from app.evaluation.reliability_world import World
from app.evaluation.reliability_worlds import make_world
from app.sources.judging import default_calibration
from reliability.calibration import WEAK_PULL, Calibration, Line, calibrator_of, fit_line
from reliability.measures import brier, expected_calibration_error
from reliability.observations import Observation

# Lists have several answers a question, whose chances are not those of one winner.
# The default is learned where agreement leads to the truth. Where liars are the majority it does
# not (adversarial_7_of_9: 2 % right), and no map helps before a person has labelled.
WORLDS = (
    *("spammer_hammer", "beta", "topics", "drift", "coverage", "clean", "long_tail"),
    *("copy_4_of_9", "adversarial_7_of_9"),
)
FITTED = WORLDS[:-1]
FIRST_FITTED = 1000  # seeds from here on make the default; those below are for measuring
DIGITS = 4
TEXT_WORDS = 30

Row = dict[str, object]
Progress = Callable[[], None]


@dataclass(slots=True)
class Chances:
    """Stated chance of the leading answer, and whether it was right."""

    stated: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)


async def chance_rows(
    worlds: Sequence[str], draws: int, labels: int, progress: Progress
) -> list[Row]:
    """A row for each world and map: none, the default, and what `labels` answers taught."""
    rows: list[Row] = []
    for name in worlds:
        found: dict[str, Chances] = defaultdict(Chances)
        for seed in range(draws):
            for how, chances in (await draw(make_world(name, seed), labels, seed)).items():
                found[how].stated += chances.stated
                found[how].right += chances.right
            progress()
        rows += [_row(name, how, labels, chances) for how, chances in found.items()]
    return rows


async def draw(world: World, labels: int, seed: int) -> dict[str, Chances]:
    """Learn from the world's probes, of which so many are answered by a person; then be asked."""
    world = _spelled(world)
    claims = [row for row in world.probes if row.kind == "probe"]
    numbers = sorted({row.source for row in (*claims, *world.tests) if row.source is not None})
    async with open_beliefs() as opened:
        ids = await opened.add_sources(numbers)
        await opened.observe([*claims, *_labels(world, labels, seed)], ids)
        await opened.beliefs.refit("evaluation")
        learned = await opened.beliefs.calibration()
        sources = {row.id: row for row in await opened.sources.list()}
    maps: dict[str, Calibration | None] = {"none": None, "default": default_calibration()}
    if learned.origin == "labels":
        maps["labels"] = learned
    of_question: dict[str, list[Heard]] = defaultdict(list)
    for row in world.tests:
        if row.source is not None and row.answer:
            of_question[row.question].append(_heard(row, sources[ids[row.source]]))
    return {how: _asked(of_question, world, calibration) for how, calibration in maps.items()}


def _asked(
    of_question: dict[str, list[Heard]], world: World, calibration: Calibration | None
) -> Chances:
    found = Chances()
    for question, heard in of_question.items():
        verdict = judge_passages(heard, Basis(question, "vote", 1, calibration))
        if verdict.answers and verdict.probability is not None:
            found.stated.append(verdict.probability)
            found.right.append(float(verdict.answers[0].answer in world.truths[question]))
    return found


def _heard(row: Observation, source: SourceRow) -> Heard:
    """A passage that states the claim; members of a family have one text."""
    marked = f"family {row.family}" if row.family is not None else f"row {row.observation_id}"
    text = " ".join(word(f"{marked} {place}") for place in range(TEXT_WORDS))
    return heard_claim(row, source, answer=str(row.answer), text=text)


def _labels(world: World, labels: int, seed: int) -> list[Observation]:
    """A person's answers to so many probes, drawn by chance."""
    random, names = np.random.default_rng([seed, 7]), sorted(world.probe_truths)
    last = max(row.day for row in world.probes)
    chosen = random.permutation(len(names))[:labels].tolist()
    return [
        Observation(
            place,
            "label",
            names[number],
            next(iter(world.probe_truths[names[number]])),
            verdict=1.0,
            author="curator",
            day=last,
        )
        for place, number in enumerate(chosen)
    ]


def _spelled(world: World) -> World:
    """Answers as words of their own: figures that differ in a digit might be taken for equal."""

    def spelled(rows: Sequence[Observation]) -> tuple[Observation, ...]:
        return tuple(
            replace(row, answer=None if row.answer is None else word(row.answer)) for row in rows
        )

    truths = {name: frozenset(map(word, found)) for name, found in world.truths.items()}
    probes = {name: frozenset(map(word, found)) for name, found in world.probe_truths.items()}
    return replace(
        world,
        probes=spelled(world.probes),
        tests=spelled(world.tests),
        truths=truths,
        probe_truths=probes,
    )


def word(text: str) -> str:
    """Ten letters that stand for a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join("abcdefghijklmnopqrstuvwxyz"[byte % 26] for byte in digest[:10])


def _row(world: str, how: str, labels: int, chances: Chances) -> Row:
    stated, right = np.array(chances.stated), np.array(chances.right)
    return {
        "world": world,
        "calibration": how,
        "labels": labels if how == "labels" else 0,
        "ece": expected_calibration_error(stated, right),
        "brier": brier(stated, right),
        "accuracy": float(right.mean()),
        "n": len(right),
    }


async def fit_default(
    worlds: Sequence[str], draws: int, path: Path, progress: Progress
) -> list[Row]:
    """Write the map that comes with Larder; rows say how it does on a world it was not shown."""
    scores: dict[str, Chances] = defaultdict(Chances)
    for name in worlds:
        for seed in range(FIRST_FITTED, FIRST_FITTED + draws):
            found = (await draw(make_world(name, seed), 0, seed))["none"]
            scores[name].stated += found.stated
            scores[name].right += found.right
            progress()
    rows = []
    for name in worlds:
        others = _line([scores[other] for other in worlds if other != name])
        stated = calibrator_of(others, 0)(np.array(scores[name].stated))
        kept_out = Chances(stated.tolist(), scores[name].right)
        rows.append(_row(name, "none", 0, scores[name]))
        rows.append(_row(name, "other_worlds", 0, kept_out))
    line = _line(list(scores.values()))
    data = {
        "slope": round(line.slope, DIGITS),
        "offset": round(line.offset, DIGITS),
        "answers": sum(len(chances.right) for chances in scores.values()),
        "worlds": list(worlds),
        "draws": draws,
        "made_by": f"larder eval chances --draws {draws} --write {path.name}",
    }
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return rows


def _line(found: Sequence[Chances]) -> Line:
    stated = np.array([value for chances in found for value in chances.stated])
    right = np.array([value for chances in found for value in chances.right])
    return fit_line(stated, right, np.ones(len(right)), Line(), WEAK_PULL)
