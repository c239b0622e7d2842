"""Which chunks say nearly the same: their MinHash bands, and the pairs that were found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import func, select, union_all
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite takes the same

from app.db import models
from app.db.rows import ChunkText, DuplicatePair, DuplicateRow
from app.db.session import Database, retried


class Duplicates:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def texts(self, document_id: int) -> list[ChunkText]:
        chunk = models.Chunk
        statement = select(chunk.id, chunk.text).where(chunk.document_id == document_id)
        async with self._database.session() as session:
            rows = await session.execute(statement.order_by(chunk.ordinal))
            return [ChunkText(row.id, row.text) for row in rows]

    async def sharing(
        self, document_id: int, bands: Sequence[bytes], limit: int
    ) -> list[ChunkText]:
        """Chunks with any of these bands, those with the most of them first: the document's own,
        and those of its collection that can be found."""
        chunk, document, band = models.Chunk, models.Document, models.ShingleBand
        collection = select(document.collection_id).where(document.id == document_id)
        is_seen = (document.id == document_id) | (document.visibility == "live")
        statement = (
            select(chunk.id, chunk.text)
            .join(band, band.chunk_id == chunk.id)
            .join(document, document.id == chunk.document_id)
            .where(band.band.in_(bands), is_seen)
            .where(document.collection_id == collection.scalar_subquery())
            .group_by(chunk.id, chunk.text)
            .order_by(func.count().desc(), chunk.id)
            .limit(limit)
        )
        async with self._database.session() as session:
            return [ChunkText(row.id, row.text) for row in await session.execute(statement)]

    @retried
    async def save(
        self, bands: Mapping[int, Sequence[bytes]], pairs: Sequence[DuplicatePair]
    ) -> None:
        """Bands of chunks and pairs of them; what is there already stays, so twice is fine."""
        listed = [
            {"band": band, "chunk_id": chunk_id}
            for chunk_id, found in bands.items()
            for band in dict.fromkeys(found)
        ]
        async with self._database.transaction() as session:
            if listed:
                await session.execute(upsert(models.ShingleBand).on_conflict_do_nothing(), listed)
            if pairs:
                await session.execute(
                    upsert(models.Duplicate).on_conflict_do_nothing(),
                    [asdict(pair) for pair in pairs],
                )

    async def of_document(self, document_id: int) -> list[DuplicateRow]:
        """Other documents that can be found and share passages with it, the most alike first."""
        pair, mine, other = models.Duplicate, models.Chunk.__table__.alias(), models.Chunk
        both = union_all(
            select(pair.chunk_id.label("one"), pair.other_id.label("two"), pair.similarity),
            select(pair.other_id, pair.chunk_id, pair.similarity),
        ).subquery()
        statement = (
            select(
                models.Document.id.label("document_id"),
                models.Document.name,
                func.count(mine.c.id.distinct()).label("chunks"),
                func.max(both.c.similarity).label("similarity"),
            )
            .select_from(both)
            .join(mine, mine.c.id == both.c.one)
            .join(other, other.id == both.c.two)
            .join(models.Document, models.Document.id == other.document_id)
            .where(mine.c.document_id == document_id, other.document_id != document_id)
            .where(models.Document.visibility == "live")
            .group_by(models.Document.id, models.Document.name)
            .order_by(func.max(both.c.similarity).desc(), models.Document.id)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).mappings()
            return [DuplicateRow(**row) for row in rows]
