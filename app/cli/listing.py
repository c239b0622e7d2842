"""`sources` and `collections`: short looks at the database, beside a running server or without.

SQLite lets several processes read, and write in turn, so these need neither server nor model.
"""

import asyncio

from app.bootstrap import open_storage
from app.cli.output import print_json, print_note, print_table
from app.db.rows import CollectionRow, SourceRow
from app.settings import load_settings

SOURCE_FIELDS = ("id", "name", "reliability", "documents")
COLLECTION_FIELDS = ("id", "name", "documents", "documents_ready", "chunks", "tokens")


def list_sources(*, as_json: bool) -> None:
    _print(asyncio.run(_sources()), SOURCE_FIELDS, as_json=as_json)


def list_collections(*, as_json: bool) -> None:
    _print(asyncio.run(_collections()), COLLECTION_FIELDS, as_json=as_json)


def set_reliability(name: str, value: float) -> None:
    before, after = asyncio.run(_set_reliability(name, value))
    print_note(f"{after.name}: reliability {before.reliability:.2f} -> {after.reliability:.2f}")


async def _sources() -> list[SourceRow]:
    async with open_storage(load_settings()) as storage:
        return await storage.sources.list()


async def _collections() -> list[CollectionRow]:
    async with open_storage(load_settings()) as storage:
        return await storage.collections.list()


async def _set_reliability(name: str, value: float) -> tuple[SourceRow, SourceRow]:
    async with open_storage(load_settings()) as storage:
        before = await storage.sources.find(name)
        return before, await storage.sources.set_reliability(before.id, value)


def _print(
    rows: list[SourceRow] | list[CollectionRow], names: tuple[str, ...], *, as_json: bool
) -> None:
    values = [tuple(getattr(row, name) for name in names) for row in rows]
    if as_json:
        print_json({"items": [dict(zip(names, row, strict=True)) for row in values]})
    else:
        print_table([name.replace("_", " ") for name in names], values)
