"""What is answered from chances, whether it is right, and what other questions teach about that."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from app.evaluation.reliability_world import World
from reliability.arrays import FloatArray, IntArray
from reliability.calibration import FEWEST_LABELS, fit_calibrator
from reliability.table import ClaimTable
from reliability.voting import winners

ACCEPTED = 0.5  # several truths: values above are answered, and the best one in any case
TRIED = tuple(step / 20 for step in range(1, 20))  # in its place, where it is learned
FOLDS, SPLITS = 5, 3
JOINED = "\x1e"  # between the parts of a list that votes as one value


def answers(
    world: World,
    table: ClaimTable,
    chance: FloatArray,
    *,
    several: bool,
    accepted: float = ACCEPTED,
) -> tuple[FloatArray, FloatArray]:
    """Of each question with a truth: whether the answer is right, and the chance stated for it.

    Where a question has several truths, each value from a chance of `accepted` on is answered.
    """
    best = winners(table, chance)
    place_of = {name: place for place, name in enumerate(table.questions)}
    values_of: dict[int, list[int]] = defaultdict(list)
    for value, question in enumerate(table.value_question.tolist()):
        values_of[question].append(value)
    right, stated = [], []
    for name, truth in world.truths.items():
        question = place_of.get(name, -1)
        if question < 0 or best[question] < 0:
            right.append(0.0)
            stated.append(0.0)
            continue
        taken = {int(best[question])}
        if several:
            taken |= {v for v in values_of[question] if chance[v] >= accepted}
            for sense in world.senses.get(name, ()):
                spoken = [v for v in values_of[question] if table.values[v] in sense]
                taken.add(max(spoken, key=chance.__getitem__))
        given = {part for v in taken for part in table.values[v].split(JOINED)}
        right.append(float(_is_right(given, truth, world.wrong.get(name))))
        of_each = [chance[v] if v in taken else 1 - chance[v] for v in values_of[question]]
        stated.append(float(np.prod(of_each)) if several else float(chance[best[question]]))
    return np.array(right), np.clip(np.array(stated), 0.0, 1.0)


def learned_answers(world: World, table: ClaimTable, chance: FloatArray, seed: int) -> FloatArray:
    """[n] share right where several truths are answered from a chance that other questions taught.

    Each fifth of the questions is answered from the chance that served the other four best, of
    equals from the one nearest to `ACCEPTED`.
    """
    tried = [answers(world, table, chance, several=True, accepted=step)[0] for step in TRIED]
    right, doubt = np.array(tried), np.abs(np.array(TRIED) - ACCEPTED)
    found = np.zeros(right.shape[1])
    for fitted, applied in _cuts(len(found), seed):
        best = np.lexsort((doubt, -right[:, fitted].sum(axis=1)))[0]
        found[applied] += right[best, applied] / SPLITS
    return found


def _is_right(given: set[str], truth: frozenset[str], wrong: frozenset[str] | None) -> bool:
    """All truths and nothing else; where a file lists wrong answers, none of those (RAMDocs)."""
    if wrong is not None:
        return truth <= given and not given & wrong
    return given == truth


def cross_fit(raw: FloatArray, right: FloatArray, seed: int) -> FloatArray:
    """Chances calibrated on questions kept out: each fifth by the labels of the other four.

    The mean over three ways to cut fifths, since one cut of few labels is noise.
    """
    stated = np.zeros(len(raw))
    for fitted, applied in _cuts(len(raw), seed):
        known = len(fitted) >= FEWEST_LABELS
        stated[applied] += (
            fit_calibrator(raw[fitted], right[fitted])(raw[applied]) if known else raw[applied]
        ) / SPLITS
    return stated


def _cuts(count: int, seed: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Places to learn from and places to answer: three times five fifths of `count`."""
    random = np.random.default_rng(seed)
    for _ in range(SPLITS):
        order = random.permutation(count)
        for applied in np.array_split(order, FOLDS):
            yield np.setdiff1d(order, applied), applied
