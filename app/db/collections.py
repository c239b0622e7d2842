"""Collections: named sets of documents that are searched together."""

import time

from sqlalchemy import BigInteger, Cast, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from app.db import models
from app.db.rows import CollectionRow
from app.db.session import Database, Statement, retried
from app.errors import CollectionExists, CollectionNotFound, InvalidValue

MAX_NAME_LEN = 200

Rows = list[CollectionRow]


class Collections:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def create(self, name: str) -> CollectionRow:
        name = check_name(name, "collection")
        if name.isascii() and name.isdigit():
            raise InvalidValue(f"{name} would be taken for a collection's id; use a letter too")
        collection = models.Collection(name=name, created_at=time.time())
        try:
            async with self._database.transaction() as session:
                session.add(collection)
        except IntegrityError:
            raise CollectionExists(f"there is a collection named {name!r} already") from None
        return await self.get(collection.id)

    async def get(self, collection_id: int) -> CollectionRow:
        rows = await self._rows(_counted().where(models.Collection.id == collection_id))
        if not rows:
            raise CollectionNotFound(f"there is no collection {collection_id}")
        return rows[0]

    async def find(self, name_or_id: str) -> CollectionRow:
        """By id first. Names of digits alone are refused now, but older databases have some."""
        named, number = models.Collection.name == name_or_id.strip(), parse_id(name_or_id)
        ways = [named] if number is None else [models.Collection.id == number, named]
        for way in ways:
            if rows := await self._rows(_counted().where(way)):
                return rows[0]
        raise CollectionNotFound(f"there is no collection {name_or_id!r}")

    async def list(self) -> Rows:
        """Oldest first."""
        return await self._rows(_counted().order_by(models.Collection.id))

    async def _rows(self, statement: Statement) -> Rows:
        async with self._database.session() as session:
            return [CollectionRow(**row) for row in (await session.execute(statement)).mappings()]


def check_name(name: str, what: str) -> str:
    """The name without surrounding space. Raises `InvalidValue` where nothing usable is left."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_LEN or not name.isprintable():
        raise InvalidValue(
            f"{name[:MAX_NAME_LEN]!r} cannot name a {what}; use 1 to {MAX_NAME_LEN} printable "
            "characters"
        )
    return name


def parse_id(text: str) -> int | None:
    """A row id written in ASCII digits that SQLite can hold, else None."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)


def total(column: InstrumentedAttribute[int]) -> Cast[int]:
    """The sum, 0 of nothing; PostgreSQL would make it a decimal."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _counted() -> Statement:
    collection, document, chunk = models.Collection, models.Document, models.Chunk
    mine = document.collection_id == collection.id
    documents = select(func.count()).select_from(document).where(mine)
    chunks = select(func.count()).select_from(chunk).join(document).where(mine)
    tokens = select(total(chunk.num_tokens)).join(document).where(mine)
    return select(
        collection.id,
        collection.name,
        collection.created_at,
        documents.scalar_subquery().label("documents"),
        documents.where(document.state == "ready").scalar_subquery().label("documents_ready"),
        chunks.scalar_subquery().label("chunks"),
        tokens.scalar_subquery().label("tokens"),
    )
