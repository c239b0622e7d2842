"""What `larder sources` does beside a running server or without one: short work on the database.

Several processes may read it, and write in turn, so these need neither server nor model.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from app.bootstrap import Storage, build_source_tools, open_storage
from app.cli.existing import load_existing
from app.cli.output import print_json, print_note, print_table
from app.db.rows import SourceRow, SourceState
from app.errors import InvalidValue
from app.sources.tools import SourceTools
from app.sources.types import Change, Label, SourceExplanation, Undo
from app.sources.wire import (
    JsonObject,
    change_data,
    explanation_data,
    observation_data,
    review_data,
    source_data,
)

FIELDS = ("id", "name", "reliability", "documents", "state", "class")


@dataclass(frozen=True, slots=True)
class Desk:
    storage: Storage
    tools: SourceTools


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    async with open_storage(load_existing()) as storage:
        yield Desk(storage, build_source_tools(storage))


def list_sources(*, as_json: bool) -> None:
    async def read() -> list[SourceRow]:
        async with open_desk() as desk:
            return await desk.storage.sources.list()

    rows = [source_data(row) for row in asyncio.run(read())]
    if as_json:
        print_json({"items": rows})
    else:
        print_table(FIELDS, [tuple(row[name] for name in FIELDS) for row in rows])


def review_sources(limit: int, *, as_json: bool) -> None:
    async def read() -> JsonObject:
        async with open_desk() as desk:
            names = {row.id: row.name for row in await desk.storage.sources.list()}
            return review_data(await desk.tools.reviewer.review(limit), names)

    found = asyncio.run(read())
    if as_json:
        print_json(found)
        return
    print_table(
        ("question to label", "answers (sources)", "worth"),
        [
            (item["question"], _answers(item["answers"]), item["worth"])
            for item in _of(found, "questions")
        ],
    )
    print_table(
        ("turned", "since"), [(item["source"], item["since"]) for item in _of(found, "turned")]
    )
    print_table(
        ("err alike", "probability", "shared errors"),
        [
            (" and ".join(item["sources"]), item["probability"], item["shared_wrong"])
            for item in _of(found, "suspected_copies")
        ],
    )


def _of(found: JsonObject, name: str) -> list[dict[str, Any]]:
    value = found[name]
    assert isinstance(value, list)
    return value


def _answers(said: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{item['answer']} ({item['sources']})" for item in said)


def show_source(name: str, observations: int, *, as_json: bool) -> None:
    async def read() -> tuple[SourceExplanation, list[JsonObject]]:
        async with open_desk() as desk:
            row = await desk.storage.sources.find(name)
            found = await desk.tools.explainer.explain(row.id)
            if not observations:
                return found, []
            rows = await desk.tools.observations.of_source([row.id], observations)
            return found, [observation_data(item) for item in rows]

    found, listed = asyncio.run(read())
    if as_json:
        print_json(explanation_data(found) | {"observations": listed})
        return
    _print_explanation(found)
    if listed:
        columns = ("id", "kind", "question", "answer", "verdict", "by", "undone_by")
        print_table(columns, [tuple(row[column] for column in columns) for row in listed])


def set_source(name: str, reliability: float | None, class_name: str | None, by: str) -> None:
    if reliability is None and class_name is None:
        raise InvalidValue("name --reliability, --class or both")

    async def act(desk: Desk, row: SourceRow) -> Change | None:
        curator, change = desk.tools.curator, None
        if class_name is not None:
            change = await curator.set_class(row.id, class_name, by)
        if reliability is not None:
            change = await curator.set_reliability(row.id, reliability, by)
        return change

    _act(name, act)


def label_source(name: str, label: Label, *, as_json: bool) -> None:
    if label.verdict == -1:
        raise InvalidValue("say --right or --wrong, or --verdict with a number from 0 to 1")

    async def act(desk: Desk, row: SourceRow) -> Change:
        return await desk.tools.curator.label(replace(label, source_id=row.id))

    _act(name, act, as_json=as_json)


def quarantine_source(name: str, by: str, note: str, *, release: bool, as_json: bool) -> None:
    async def act(desk: Desk, row: SourceRow) -> Change:
        state: SourceState = "active" if release else "quarantined"
        return await desk.tools.curator.set_state(row.id, state, by, note)

    _act(name, act, as_json=as_json, what="released" if release else "in quarantine")


def rename_source(name: str, new_name: str, by: str) -> None:
    async def act() -> tuple[SourceRow, SourceRow]:
        async with open_desk() as desk:
            row = await desk.storage.sources.find(name)
            return row, await desk.tools.curator.rename(row.id, new_name, by)

    before, after = asyncio.run(act())
    print_note(f"{before.name} -> {after.name}")


def merge_source(name: str, into: str, by: str, *, as_json: bool) -> None:
    async def act(desk: Desk, row: SourceRow) -> Change:
        target = await desk.storage.sources.find(into)
        return await desk.tools.curator.merge(row.id, target.id, by)

    _act(name, act, as_json=as_json, what=f"merged into {into}")


def separate_source(name: str, by: str, *, as_json: bool) -> None:
    async def act(desk: Desk, row: SourceRow) -> Change:
        return await desk.tools.curator.separate(row.id, by)

    _act(name, act, as_json=as_json, what="a source of its own again")


def undo_observations(
    ids: list[int],
    author: str | None,
    source: str | None,
    version: int | None,
    by: str,
    note: str,
    *,
    as_json: bool,
) -> None:
    async def act() -> Change:
        async with open_desk() as desk:
            found = None if source is None else await desk.storage.sources.find(source)
            what = Undo(tuple(ids), author, None if found is None else found.id, version)
            return await desk.tools.curator.undo(what, by, note)

    change = asyncio.run(act())
    if as_json:
        print_json(change_data(change))
    else:
        print_note(f"{change.observations:,} observations; now version {change.version}")


def _act(
    name: str,
    act: Callable[[Desk, SourceRow], Awaitable[Change | None]],
    *,
    as_json: bool = False,
    what: str = "",
) -> None:
    """Find the source, do it, and say what it changed."""

    async def run() -> tuple[SourceRow, Change | None]:
        async with open_desk() as desk:
            row = await desk.storage.sources.find(name)
            return row, await act(desk, row)

    row, change = asyncio.run(run())
    if change is None or change.before is None or change.after is None:
        return
    if as_json:
        print_json(change_data(change) | {"source": row.name})
        return
    said = f" {what};" if what else ""
    print_note(f"{row.name}:{said} reliability {change.before:.2f} -> {change.after:.2f}")


def _print_explanation(found: SourceExplanation) -> None:
    row, counts = found.source, found.counts
    facts: list[tuple[str, object]] = [
        ("source", f"{row.name} (id {row.id}), {row.state}"),
        (
            "reliability",
            f"{row.reliability:.2f}, 80 % sure from {found.low:.2f} to {found.high:.2f}",
        ),
        (
            "started at",
            f"{row.prior_alpha / (row.prior_alpha + row.prior_beta):.2f}"
            f" ({row.class_name or 'no class stated'})",
        ),
        (
            "its claims",
            f"{counts.checked_by_people} checked by people, {counts.cross_checked} "
            f"crossed with others, {counts.unchecked} neither",
        ),
        (
            "observed",
            f"{counts.answers} answers, {counts.silent} times silent, "
            f"{counts.crosschecks} while answering, {counts.labels} labels, "
            f"{counts.feedback} from users, {counts.undone} undone",
        ),
        ("counted once", f"{counts.copies} claims together with another source"),
        (
            "version",
            f"{found.version.id if found.version else 'none'}, {found.pending} observations since",
        ),
    ]
    if found.aliases or found.merged:
        facts.append(("also", ", ".join((*found.aliases, *found.merged))))
    print_table(("", ""), facts)
    if found.topics and (len(found.topics) > 1 or found.topics[0].topic):
        topics = [(t.topic, t.alpha / (t.alpha + t.beta), t.low, t.high) for t in found.topics]
        print_table(("topic", "mean", "low", "high"), topics)
    if found.events:
        print_table(("done", "", "by"), [(e.action, e.detail, e.author) for e in found.events])
