"""RAMDocs and PoisonedRAG as worlds: a perfect reader, sources drawn where a file names none."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import InvalidValue
from app.evaluation.reliability_world import World
from reliability.arrays import FloatArray
from reliability.families.find import FamilyConfig, find_families
from reliability.families.restatement import cosine_limit
from reliability.families.types import Passage
from reliability.matching import is_no_answer, normal_answer
from reliability.observations import Observation

SYNTHETIC_SOURCES = 9
GOOD, BAD = 0.9, 0.1
PAIRS = 1000

Random = np.random.Generator
Item = dict[str, Any]  # one question, as the file has it


def read_file(path: Path, file_format: str) -> list[Item]:
    """The questions of a file of either kind. Raises `InvalidValue`."""
    try:
        text = path.read_text(encoding="utf-8")
        if file_format == "poisoned":
            return list(json.loads(text).values())
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidValue(f"{path} cannot be read as {file_format}: {error!r}") from error


def load_ramdocs(path: Path, seed: int) -> World:
    return ramdocs_world(read_file(path, "ramdocs"), seed)


def ramdocs_world(lines: Sequence[Item], seed: int, *, has_senses: bool = True) -> World:
    """Each document is what one source says; noise says nothing.

    RAMDocs names no sources: nine get identities here, four that carry mostly misinformation and
    five that carry mostly right documents (chances 0.1 and 0.9), drawn with `seed`. Without
    `has_senses` the file's list of what a name may mean is not used.
    """
    random = np.random.default_rng(seed)
    rows: list[Observation] = []
    truths: dict[str, frozenset[str]] = {}
    wrong: dict[str, frozenset[str]] = {}
    senses: dict[str, tuple[frozenset[str], ...]] = {}
    try:
        for place, line in enumerate(lines):
            question = f"{place}: {line['question']}"
            truths[question] = frozenset(map(normal_answer, line["gold_answers"]))
            wrong[question] = frozenset(map(normal_answer, line["wrong_answers"]))
            stated = [(d["type"], d["answer"]) for d in line["documents"]]
            sources = _identities([kind for kind, _ in stated], random)
            said = [(d["text"], d["answer"]) for d in line["documents"]]
            if has_senses:
                senses[question] = _answers_by_entity(line["disambig_entity"], said)
            for (_, text), source in zip(stated, sources, strict=True):
                answer = None if is_no_answer(text) else normal_answer(text)
                rows.append(Observation(len(rows), "probe", question, answer, source))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(f"this is not a RAMDocs file: {error!r}") from error
    return World(
        "ramdocs" if has_senses else "ramdocs_unlisted",
        tuple(rows),
        (),
        truths,
        takes_several=True,
        wrong=wrong,
        is_dated=False,
        senses=senses,
    )


def _answers_by_entity(
    entities: Sequence[str], said: Sequence[tuple[str, str]]
) -> tuple[frozenset[str], ...]:
    """What the documents that name exactly one of the question's entities say, by entity."""
    names = [normal_answer(entity) for entity in entities]
    answers: dict[str, set[str]] = {}
    for text, answer in said:
        words = f" {normal_answer(text)} "
        named = [name for name in names if f" {name} " in words]
        if len(named) == 1 and not is_no_answer(answer):
            answers.setdefault(named[0], set()).add(normal_answer(answer))
    return tuple(frozenset(group) for group in answers.values())


def _identities(kinds: Sequence[str], random: Random) -> list[int]:
    """A source for each document of a question, another one each while there are enough."""
    p = np.array([BAD] * 4 + [GOOD] * 5)
    free = np.ones(SYNTHETIC_SOURCES)
    found = []
    for kind in kinds:
        if not free.any():
            free[:] = 1.0
        chance = free * {"correct": p, "misinfo": 1 - p}.get(kind, np.ones(SYNTHETIC_SOURCES))
        source = int(random.choice(SYNTHETIC_SOURCES, p=chance / chance.sum()))
        free[source] = 0.0
        found.append(source)
    return found


def load_poisoned(path: Path, seed: int) -> World:
    return poisoned_world(read_file(path, "poisoned"), seed)


def poisoned_world(
    items: Sequence[Item], seed: int, *, poisoned: int = 5, honest: int = 9
) -> World:
    """PoisonedRAG's questions: honest sources, and false texts by accounts made for the purpose.

    The file has no clean passages, so honest claims are drawn: covered with chance 0.6, right with
    0.9, seen first on days of their own. The false texts share no wording that L1 would find; L2
    compares them by their words (no model here) against the limit of this file's random pairs.
    """
    random = np.random.default_rng(seed)
    try:
        texts = [text for item in items for text in item["adv_texts"][:poisoned]]
        limit = cosine_limit(_random_cosines(texts, random))
        truths = {item["question"]: normal_answer(item["correct answer"]) for item in items}
        passages: list[Passage] = []
        for item in items:
            passages += _poisoned_passages(
                item, item["adv_texts"][:poisoned], len(passages), random, honest
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(f"this is not a PoisonedRAG file: {error!r}") from error
    families = find_families(passages, FamilyConfig(cosine_limit=limit)).family_of
    rows = tuple(
        Observation(
            p.passage_id, "probe", p.question, p.answer, p.source, family=families[p.passage_id]
        )
        for p in passages
    )
    right = {question: frozenset((truth,)) for question, truth in truths.items()}
    return World("poisoned", rows, (), right, is_dated=False)


def _poisoned_passages(
    item: Item, texts: Sequence[str], first: int, random: Random, honest: int
) -> list[Passage]:
    question, truth = item["question"], normal_answer(item["correct answer"])
    false = normal_answer(item["incorrect answer"])
    found: list[Passage] = []
    for source in np.flatnonzero(random.random(honest) < 0.6).tolist():
        answer = truth if random.random() < GOOD else f"other {random.integers(8)}"
        day = -100.0 * (source + 1)
        found.append(
            Passage(first + len(found), source, "", question, answer, source_first_day=day)
        )
    read = item.get("read") or [false] * len(texts)  # by a perfect reader, or by the decoder
    for number, (text, said) in enumerate(zip(texts, read, strict=False)):
        found.append(
            Passage(
                first + len(found),
                honest + number,
                text,
                question,
                None if said is None else normal_answer(said),
                embedding=_word_vector(text),
                source_first_day=0.0,
            )
        )
    return found


def _random_cosines(texts: Sequence[str], random: Random) -> list[float]:
    """Cosines of texts of different questions, which is what chance looks like."""
    vectors = [_word_vector(text) for text in texts]
    pairs = random.integers(0, len(texts), (4 * PAIRS, 2)).tolist()
    apart = [(i, j) for i, j in pairs if abs(i - j) > 10]
    return [float(vectors[i] @ vectors[j]) for i, j in apart[:PAIRS]]


def _word_vector(text: str) -> FloatArray:
    """Unit vector of the text's words, hashed to 512 places; stands in for an encoder."""
    vector = np.zeros(512)
    for word in set(normal_answer(text).split()):
        vector[zlib.crc32(word.encode()) % 512] += 1.0
    return np.asarray(vector / max(1.0, float(np.linalg.norm(vector))))
