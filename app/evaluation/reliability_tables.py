"""Files as worlds: claim and truth tables, RAMDocs and PoisonedRAG. A perfect reader throughout."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import InvalidValue
from app.evaluation.reliability_worlds import World
from reliability.matching import cluster_answers, is_no_answer, normal_answer
from reliability.observations import Observation

COLUMNS = {
    "object": ("objectid", "object"),
    "property": ("propertyid", "property"),
    "value": ("propertyvalue", "value"),
    "source": ("sourceid", "source"),
}
PARTS = re.compile(r"\s*[;|\n]\s*")
LISTS_FROM = 0.1  # share of lists among the values from which on a table is one of lists
SYNTHETIC_SOURCES = 9
GOOD, BAD = 0.9, 0.1


@dataclass(frozen=True, slots=True)
class Claim:
    question: str
    value: str
    source: str


def load_claims(path: Path, truth_path: Path) -> World:
    """CSV of object, property, value, source; truths likewise, without source.

    Values that are lists (parts separated by ; or |, or several rows of one source) make it a
    table of several truths. Raises InvalidValue for a bad file.
    """
    claims = _read(path, with_source=True)
    truths = _read(truth_path, with_source=False)
    asked = {row.question for row in truths}
    if not claims or not asked & {row.question for row in claims}:
        raise InvalidValue(f"{truth_path} has no truth for a claim in {path}")
    if _is_list_table(claims):
        return _list_world(path.stem, claims, truths)
    return _value_world(path.stem, claims, truths)


def _read(path: Path, *, with_source: bool) -> list[Claim]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_claims(csv.DictReader(file), path, with_source=with_source))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidValue(f"{path} cannot be read as CSV: {error}") from error


def _claims(
    rows: "csv.DictReader[str]", path: Path, *, with_source: bool
) -> Iterator[Claim]:
    names = {name.strip().casefold(): name for name in rows.fieldnames or ()}
    found = {
        noun: next((names[name] for name in known if name in names), None)
        for noun, known in COLUMNS.items()
    }
    needed = ("object", "value", "source") if with_source else ("object", "value")
    missing = [noun for noun in needed if found[noun] is None]
    if missing:
        raise InvalidValue(f"{path} lacks a column for {', '.join(missing)}")
    for row in rows:
        cells = {noun: (row.get(name) or "").strip() if name else "" for noun, name in found.items()}
        if cells["value"]:
            yield Claim(f"{cells['object']}\x1f{cells['property']}", cells["value"], cells["source"])


def _is_list_table(claims: Sequence[Claim]) -> bool:
    lists = sum(len(PARTS.split(claim.value)) > 1 for claim in claims)
    pairs = {(claim.question, claim.source) for claim in claims}
    return max(lists, len(claims) - len(pairs)) >= LISTS_FROM * len(claims)


def _value_world(name: str, claims: Sequence[Claim], truths: Sequence[Claim]) -> World:
    numbers: dict[str, int] = {}
    rows = tuple(
        Observation(
            place,
            "probe",
            claim.question,
            normal_answer(claim.value) or claim.value,
            numbers.setdefault(claim.source, len(numbers)),
        )
        for place, claim in enumerate(claims)
    )
    answered = {row.question for row in rows}
    right = {
        truth.question: frozenset((normal_answer(truth.value) or truth.value,))
        for truth in truths
        if truth.question in answered
    }
    return World(name, rows, (), right, is_dated=False)


def _list_world(name: str, claims: Sequence[Claim], truths: Sequence[Claim]) -> World:
    """Parts are clustered a question at a time, so that spellings of one name vote together."""
    numbers: dict[str, int] = {}
    wanted: dict[str, set[str]] = {}
    for truth in truths:
        wanted.setdefault(truth.question, set()).update(_parts(truth.value))
    by_question: dict[str, list[Claim]] = {}
    for claim in claims:
        by_question.setdefault(claim.question, []).append(claim)
    rows: list[Observation] = []
    right = {}
    for question, group in by_question.items():
        stated = {part for claim in group for part in _parts(claim.value)}
        known = cluster_answers(sorted(stated | wanted.get(question, set()))).representative
        if question in wanted:
            right[question] = frozenset(n for part in wanted[question] if (n := known[part]))
        said = {(known[p], claim.source) for claim in group for p in _parts(claim.value)}
        for answer, source in sorted(said, key=str):
            number = numbers.setdefault(source, len(numbers))
            if answer:
                rows.append(Observation(len(rows), "probe", question, answer, number))
    return World(name, tuple(rows), (), right, takes_several=True, is_dated=False)


def _parts(value: str) -> list[str]:
    return [part for part in PARTS.split(value) if part and not is_no_answer(part)]


def load_ramdocs(path: Path, seed: int) -> World:
    """Each document is what one source says; noise says nothing.

    RAMDocs names no sources: nine get identities here, four that carry mostly misinformation and
    five that carry mostly right documents (chances 0.1 and 0.9), drawn with `seed`.
    """
    random = np.random.default_rng(seed)
    p = np.array([BAD] * 4 + [GOOD] * 5)
    rows: list[Observation] = []
    truths, wrong = {}, {}
    for place, line in enumerate(_json_lines(path)):
        question = f"{place}: {line['question']}"
        documents = line["documents"]
        stated = {d["answer"] for d in documents}
        listed = {*line["gold_answers"], *line["wrong_answers"]}
        known = {text: normal_answer(text) for text in stated | listed}
        truths[question] = frozenset(known[text] for text in line["gold_answers"])
        wrong[question] = frozenset(known[text] for text in line["wrong_answers"])
        free = np.ones(SYNTHETIC_SOURCES)
        for document in documents:
            chance = free * {"correct": p, "misinfo": 1 - p}.get(document["type"], np.ones(9))
            if not chance.any():
                chance = np.ones(SYNTHETIC_SOURCES)
            source = int(random.choice(SYNTHETIC_SOURCES, p=chance / chance.sum()))
            free[source] = 0.0
            answer = None if is_no_answer(document["answer"]) else known[document["answer"]]
            rows.append(Observation(len(rows), "probe", question, answer, source))
    return World(
        "ramdocs", tuple(rows), (), truths, takes_several=True, wrong=wrong, is_dated=False
    )


def load_poisoned(path: Path, seed: int, *, poisoned: int = 5, honest: int = 5) -> World:
    """PoisonedRAG's questions: honest sources in words of their own, and its false texts.

    The file has no clean passages, so honest claims are drawn: covered with chance 0.6, right with
    0.9. Each false text comes from an account of its own.
    """
    random = np.random.default_rng(seed)
    rows: list[Observation] = []
    truths = {}
    try:
        items = list(json.loads(path.read_text(encoding="utf-8")).values())
        for item in items:
            question, truth = item["question"], normal_answer(item["correct answer"])
            false = normal_answer(item["incorrect answer"])
            truths[question] = frozenset((truth,))
            for source in np.flatnonzero(random.random(honest) < 0.6).tolist():
                is_right = random.random() < GOOD
                answer = truth if is_right else f"other {random.integers(8)}"
                rows.append(Observation(len(rows), "probe", question, answer, source))
            for number in range(len(item["adv_texts"][:poisoned])):
                rows.append(
                    Observation(len(rows), "probe", question, false, honest + number)
                )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(f"{path} is not a PoisonedRAG file: {error!r}") from error
    return World("poisoned", tuple(rows), (), truths, is_dated=False)


def _json_lines(path: Path) -> list[dict[str, list[dict[str, str]]]]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} cannot be read as JSON lines: {error}") from error
    if not lines or not all({"question", "documents", "gold_answers"} <= line.keys() for line in lines):
        raise InvalidValue(f"{path} is not a RAMDocs file")
    return lines


