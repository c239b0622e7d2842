"""`collections`: a short look at the database, beside a running server or without.

SQLite lets several processes read, and write in turn, so this needs neither server nor model.
"""

import asyncio

from app.bootstrap import open_storage
from app.cli.existing import load_existing
from app.cli.output import print_json, print_table
from app.db.rows import CollectionRow

COLLECTION_FIELDS = ("id", "name", "documents", "documents_ready", "chunks", "tokens")


def list_collections(*, as_json: bool) -> None:
    rows = asyncio.run(_collections())
    values = [tuple(getattr(row, name) for name in COLLECTION_FIELDS) for row in rows]
    if as_json:
        print_json({"items": [dict(zip(COLLECTION_FIELDS, row, strict=True)) for row in values]})
    else:
        print_table([name.replace("_", " ") for name in COLLECTION_FIELDS], values)


async def _collections() -> list[CollectionRow]:
    async with open_storage(load_existing()) as storage:
        return await storage.collections.list()
