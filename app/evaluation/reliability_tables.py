"""Tables of claims and truths as worlds, of single values or of lists."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    name = path.stem.removesuffix("_claims")
    make = _list_world if _is_list_table(claims) else _value_world
    return make(name, claims, truths)


def _read(path: Path, *, with_source: bool) -> list[Claim]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_claims(csv.DictReader(file), path, with_source=with_source))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidValue(f"{path} cannot be read as CSV: {error}") from error


def _claims(rows: "csv.DictReader[str]", path: Path, *, with_source: bool) -> Iterator[Claim]:
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
        cells = {
            noun: (row.get(name) or "").strip() if name else "" for noun, name in found.items()
        }
        if cells["value"]:
            yield Claim(
                f"{cells['object']}\x1f{cells['property']}", cells["value"], cells["source"]
            )


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
