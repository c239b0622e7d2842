"""Tables of claims and truths as worlds, of single values or of lists."""

import csv
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue
from app.evaluation.reliability_world import World
from reliability.matching import cluster_answers, is_no_answer, normal_answer
from reliability.names import looks_like_people, split_parts, split_people
from reliability.observations import Observation
from reliability.people import cluster_people, part_people

COLUMNS = {
    "object": ("objectid", "object"),
    "property": ("propertyid", "property"),
    "value": ("propertyvalue", "value"),
    "source": ("sourceid", "source"),
}
PEOPLE = re.compile(r"author|editor|writer|actor|cast|director|people|person|member", re.I)
LISTS_FROM = 0.1  # share of lists among the values from which on a table is one of lists


@dataclass(frozen=True, slots=True)
class Claim:
    question: str
    value: str
    source: str


def load_claims(path: Path, truth_path: Path) -> World:
    """CSV of object, property, value, source; truths likewise, without source.

    Values that are lists (parts separated by ; or |, people also by "and" and commas, or several
    rows of one source) make it a table of several truths. Raises InvalidValue for a bad file.
    """
    claims = _read(path, with_source=True)
    truths = _read(truth_path, with_source=False)
    asked = {row.question for row in truths}
    if not claims or not asked & {row.question for row in claims}:
        raise InvalidValue(f"{truth_path} has no truth for a claim in {path}")
    return world_of(path.stem.removesuffix("_claims"), claims, truths)


def world_of(name: str, claims: Sequence[Claim], truths: Sequence[Claim]) -> World:
    """A world of single values, or of lists where enough claims are some."""
    lists = sum(len(split_parts(claim.value)) > 1 for claim in claims)
    people = _about_people(claims, has_lists=lists >= LISTS_FROM * len(claims))
    split = split_people if people else _split_values
    pairs = {(claim.question, claim.source) for claim in claims}
    lists = sum(len(split(claim.value)) > 1 for claim in claims)
    if max(lists, len(claims) - len(pairs)) < LISTS_FROM * len(claims):
        return _value_world(name, claims, truths)
    return _list_world(name, claims, truths, split)


def _about_people(claims: Sequence[Claim], *, has_lists: bool) -> bool:
    """By what the property is called, or by lists that read "family name, first name"."""
    named = sum(bool(PEOPLE.search(claim.question.partition("\x1f")[2])) for claim in claims)
    if named > len(claims) / 2:
        return True
    return has_lists and looks_like_people([claim.value for claim in claims])


def _read(path: Path, *, with_source: bool) -> list[Claim]:
    try:
        text = io.StringIO(_decoded(path.read_bytes()), newline="")
        return list(_claims(csv.DictReader(text), path, with_source=with_source))
    except (OSError, csv.Error) as error:
        raise InvalidValue(f"{path} cannot be read as CSV: {error}") from error


def _decoded(data: bytes) -> str:
    """Old catalogues are no UTF-8; in Latin-1 every byte is some letter."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


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
            noun: html.unescape(row.get(name) or "").strip() if name else ""
            for noun, name in found.items()
        }
        if cells["value"]:
            yield Claim(
                f"{cells['object']}\x1f{cells['property']}", cells["value"], cells["source"]
            )


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


def _list_world(
    name: str, claims: Sequence[Claim], truths: Sequence[Claim], split: Callable[[str], list[str]]
) -> World:
    """Parts are clustered a question at a time, so that spellings of one name vote together."""
    numbers: dict[str, int] = {}
    wanted: dict[str, set[str]] = {}
    for truth in truths:
        wanted.setdefault(truth.question, set()).update(split(truth.value))
    by_question: dict[str, list[tuple[str, list[str]]]] = {}
    for claim in claims:
        by_question.setdefault(claim.question, []).append((claim.source, split(claim.value)))
    rows: list[Observation] = []
    right = {}
    for question, group in by_question.items():
        stated = {part for _, parts in group for part in parts}
        if split is split_people:
            rows_of = part_people(stated)
            group = [
                (source, [name for part in parts for name in rows_of.get(part, [part])])
                for source, parts in group
            ]
            stated = {part for _, parts in group for part in parts}
        known = _clusters(stated | wanted.get(question, set()), is_people=split is split_people)
        if question in wanted:
            right[question] = frozenset(n for part in wanted[question] if (n := known[part]))
        said = {(known[part], source) for source, parts in group for part in parts}
        for answer, source in sorted(said, key=str):
            number = numbers.setdefault(source, len(numbers))
            if answer:
                rows.append(Observation(len(rows), "probe", question, answer, number))
    return World(name, tuple(rows), (), right, takes_several=True, is_dated=False)


def _clusters(parts: set[str], *, is_people: bool) -> Mapping[str, str | None]:
    """The spelling that stands for each part."""
    return cluster_people(parts) if is_people else cluster_answers(sorted(parts)).representative


def _split_values(value: str) -> list[str]:
    return [part for part in split_parts(value) if not is_no_answer(part)]
