"""Which chunks a cache command is about: those of a document, a collection, a source, or all."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, true, update

from app.db import models, tokens
from app.db.neighbours import find_primers
from app.db.rows import CacheScope, CacheTargetRow
from app.db.session import Database, retried


class CacheTargets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, scope: CacheScope) -> int:
        statement = select(func.count(models.Chunk.id)).join(models.Document)
        async with self._database.session() as session:
            return await session.scalar(statement.where(_within(scope))) or 0

    async def page(self, scope: CacheScope, after: int, limit: int) -> list[CacheTargetRow]:
        """The chunks behind the chunk id `after`, by id."""
        chunk, document = models.Chunk, models.Document
        statement = (
            select(
                chunk.id,
                chunk.document_id,
                chunk.ordinal,
                chunk.label,
                chunk.token_ids,
                chunk.is_cached,
                document.name,
                document.state,
            )
            .join(document)
            .where(_within(scope), chunk.id > after)
            .order_by(chunk.id)
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
            primers = await find_primers(session, [(r.document_id, r.ordinal) for r in rows])
        return [
            CacheTargetRow(
                chunk_id=row.id,
                document_id=row.document_id,
                document=row.name,
                state=row.state,
                label=row.label,
                token_ids=tokens.unpack(row.token_ids),
                primers=primers[row.document_id, row.ordinal],
                is_cached=row.is_cached,
            )
            for row in rows
        ]

    async def token_ids(self, chunk_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Of those of these chunks that are still there."""
        chunk = models.Chunk
        statement = select(chunk.id, chunk.token_ids).where(chunk.id.in_(chunk_ids))
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
        return {row.id: tokens.unpack(row.token_ids) for row in rows}

    @retried
    async def mark(self, chunk_ids: Sequence[int], *, is_cached: bool) -> None:
        """Record whether the KV of these chunks is in the store."""
        statement = update(models.Chunk).where(models.Chunk.id.in_(chunk_ids))
        async with self._database.transaction() as session:
            await session.execute(statement.values(is_cached=is_cached))


def _within(scope: CacheScope) -> ColumnElement[bool]:
    match scope.kind:
        case "document":
            return models.Document.id == scope.id
        case "collection":
            return models.Document.collection_id == scope.id
        case "source":
            return models.Document.source_id == scope.id
        case "chunk":
            return models.Chunk.id == scope.id
        case "tenant":
            return true()
