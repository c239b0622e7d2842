"""Which chunks say nearly the same: their MinHash bands, and the pairs that were found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite takes the same
from sqlalchemy.orm import aliased

from app.db import models
from app.db.rows import ChunkText, DuplicatePair, DuplicateRow
from app.db.session import Database, retried


class Duplicates:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def texts(self, document_ids: Sequence[int]) -> list[ChunkText]:
        chunk = models.Chunk
        statement = select(chunk.id, chunk.text).where(chunk.document_id.in_(document_ids))
        async with self._database.session() as session:
            rows = await session.execute(statement.order_by(chunk.id))
            return [ChunkText(row.id, row.text) for row in rows]

    async def sharing(self, document_ids: Sequence[int], limit: int) -> dict[int, list[ChunkText]]:
        """For each chunk of these documents, others that share bands with it, those with the most
        first: of these documents, and of what can be found in the same collection."""
        ranked = _ranked(document_ids).subquery()
        statement = (
            select(ranked.c.mine, models.Chunk.id, models.Chunk.text)
            .join(models.Chunk, models.Chunk.id == ranked.c.other)
            .where(ranked.c.place <= limit)
            .order_by(ranked.c.mine, ranked.c.place)
        )
        found: dict[int, list[ChunkText]] = {}
        async with self._database.session() as session:
            for row in await session.execute(statement):
                found.setdefault(row.mine, []).append(ChunkText(row.id, row.text))
        return found

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


def _ranked(document_ids: Sequence[int]) -> Select[tuple[int, int, int]]:
    """(mine, other, place): pairs of chunks with a common band, most bands first for each."""
    mine, my_chunk = aliased(models.ShingleBand), aliased(models.Chunk)
    my_document = aliased(models.Document)
    other, chunk, document = models.ShingleBand, models.Chunk, models.Document
    order = (func.count().desc(), other.chunk_id)
    place = func.row_number().over(partition_by=mine.chunk_id, order_by=order)
    return (
        select(mine.chunk_id.label("mine"), other.chunk_id.label("other"), place.label("place"))
        .join(my_chunk, my_chunk.id == mine.chunk_id)
        .join(my_document, my_document.id == my_chunk.document_id)
        .join(other, (other.band == mine.band) & (other.chunk_id != mine.chunk_id))
        .join(chunk, chunk.id == other.chunk_id)
        .join(document, document.id == chunk.document_id)
        .where(my_document.id.in_(document_ids))
        .where(document.collection_id == my_document.collection_id)
        .where(document.id.in_(document_ids) | (document.visibility == "live"))
        .group_by(mine.chunk_id, other.chunk_id)
    )
