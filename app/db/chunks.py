"""Chunks: passages for prompts, and which of them are embedded and have their KV computed."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, ColumnElement, and_, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import models, tokens
from app.db.blocks import find_page_starts
from app.db.neighbours import find_primers
from app.db.rows import NEUTRAL, PROBATION, PassageRow, UncachedRow
from app.db.session import Database, Statement, retried
from app.errors import ChunkNotFound

Float32Array = NDArray[np.float32]

DAY_S = 86400.0
FIRST_IMPORT_S = 3 * DAY_S
LOTS = 2_147_483_647  # a prime: an id times any number below it is another lot than each other id's


class Chunks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def passages(self, chunk_ids: Sequence[int]) -> list[PassageRow]:
        """In the given order; ids that do not exist (any more) are left out."""
        found = {
            row.chunk_id: row
            for row in await self._passages(self._database.among(models.Chunk.id, chunk_ids))
        }
        return [found[chunk_id] for chunk_id in chunk_ids if chunk_id in found]

    async def get(self, chunk_id: int) -> PassageRow:
        rows = await self._passages(models.Chunk.id == chunk_id)
        if not rows:
            raise ChunkNotFound(f"there is no chunk {chunk_id}")
        return rows[0]

    async def texts(self, chunk_ids: Sequence[int]) -> dict[int, str]:
        """Label and passage of those that exist."""
        chunk = models.Chunk
        statement = select(chunk.id, chunk.label, chunk.text).where(chunk.id.in_(chunk_ids))
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return {row.id: f"{row.label}\n{row.text}" for row in rows}

    async def first_of_documents(self, collection_id: int, limit: int) -> list[PassageRow]:
        """The first chunks of documents that can be found and whose sources may be asked."""
        chunk, document, source = models.Chunk, models.Document, models.Source
        statement = (
            select(chunk.id)
            .join(document, document.id == chunk.document_id)
            .join(source, source.id == document.source_id)
            .where(document.collection_id == collection_id, document.visibility == "live")
            .where(source.state == "active")
            .where(document.state.in_(("indexed", "ready")), chunk.ordinal < 3)
            .order_by(document.id, chunk.ordinal)
            .limit(limit)
        )
        async with self._database.session() as session:
            chunk_ids = list(await session.scalars(statement))
        return await self.passages(chunk_ids)

    async def unembedded(self, document_id: int, limit: int | None = None) -> list[tuple[int, str]]:
        """(chunk id, label and passage for the index) of the first chunks without a vector."""
        chunk = models.Chunk
        statement = (
            select(chunk.id, chunk.label, chunk.text)
            .outerjoin(models.Embedding)
            .where(chunk.document_id == document_id, models.Embedding.chunk_id.is_(None))
            .order_by(chunk.ordinal)
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return [(row.id, f"{row.label}\n{row.text}") for row in rows]

    @retried
    async def save_embeddings(
        self, chunk_ids: Sequence[int], vectors: Float32Array
    ) -> dict[int, int]:
        """One vector a chunk, [n, d]; a second time replaces the first.

        Chunks that were deleted meanwhile are passed over. Returns the collection of each that can
        be found, by chunk id.
        """
        if len(chunk_ids) != len(vectors):
            raise ValueError(f"{len(chunk_ids)} chunks but {len(vectors)} vectors")
        if not len(chunk_ids):
            return {}
        packed = np.ascontiguousarray(vectors, dtype="<f4")
        statement = insert(models.Embedding)
        statement = statement.on_conflict_do_update(
            index_elements=["chunk_id"], set_={"vector": statement.excluded.vector}
        )
        async with self._database.transaction() as session:
            found = await _places(session, chunk_ids)
            values = [
                {"chunk_id": chunk_id, "vector": vector.tobytes()}
                for chunk_id, vector in zip(chunk_ids, packed, strict=True)
                if chunk_id in found
            ]
            if values:
                await session.execute(statement, values)
        return {chunk_id: place for chunk_id, (place, is_live) in found.items() if is_live}

    async def embedded(self, collection_id: int) -> list[int]:
        """Ids of the chunks that have a vector."""
        async with self._database.session() as session:
            return await find_embedded(session, models.Embedding, collection_id)

    async def embeddings(
        self, collection_id: int, after_id: int = 0, limit: int | None = None
    ) -> tuple[list[int], Float32Array]:
        """Ids and vectors [n, d] of what can be found, by id; [0, 0] where there is none (any
        more)."""
        async with self._database.session() as session:
            return await find_vectors(session, models.Embedding, collection_id, after_id, limit)

    async def vectors(self, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """[d] of each chunk that has one."""
        embedding = models.Embedding
        mine = select(embedding.chunk_id, embedding.vector)
        mine = mine.where(self._database.among(embedding.chunk_id, chunk_ids))
        async with self._database.session() as session:
            rows = await session.execute(mine)
            return {row.chunk_id: np.frombuffer(row.vector, dtype="<f4") for row in rows}

    async def sample(
        self, collection_id: int, limit: int, draw: random.Random
    ) -> list[tuple[int, Float32Array]]:
        """Source and vector of the first passages of documents drawn by lot, in the database: a
        list of all their ids would hold up the event loop."""
        chunk, document = models.Chunk, models.Document
        lot = literal(draw.randrange(1, LOTS), BigInteger)
        drawn = (
            select(document.id)
            .where(document.collection_id == collection_id, document.visibility == "live")
            .order_by(document.id * lot % LOTS, document.id)
            .limit(limit)
        )
        statement = (
            select(document.source_id, models.Embedding.vector)
            .join(chunk, chunk.document_id == document.id)
            .join(models.Embedding, models.Embedding.chunk_id == chunk.id)
            .where(document.id.in_(drawn), chunk.ordinal == 0)
        )
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return [(row.source_id, np.frombuffer(row.vector, dtype="<f4")) for row in rows]

    async def uncached(self, document_id: int, limit: int | None = None) -> list[UncachedRow]:
        """The first chunks whose KV was not computed yet, with their primers."""
        chunk = models.Chunk
        statement = (
            select(chunk.id, chunk.document_id, chunk.ordinal, chunk.token_ids)
            .where(chunk.document_id == document_id, ~chunk.is_cached)
            .order_by(chunk.ordinal)
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
            primers = await find_primers(session, [(r.document_id, r.ordinal) for r in rows])
        return [
            UncachedRow(r.id, tokens.unpack(r.token_ids), primers[r.document_id, r.ordinal])
            for r in rows
        ]

    @retried
    async def mark_cached(self, chunk_ids: Sequence[int]) -> None:
        statement = update(models.Chunk).where(models.Chunk.id.in_(chunk_ids))
        async with self._database.transaction() as session:
            await session.execute(statement.values(is_cached=True))

    async def count(self) -> int:
        async with self._database.session() as session:
            return await session.scalar(select(func.count()).select_from(models.Chunk)) or 0

    async def _passages(self, condition: ColumnElement[bool]) -> list[PassageRow]:
        chunk, document = models.Chunk, models.Document
        named, source = (
            aliased(models.Source),
            models.Source,
        )  # as sent, and what it was merged into
        statement = (
            select(
                chunk.id.label("chunk_id"),
                chunk.document_id,
                chunk.ordinal,
                document.collection_id,
                source.id.label("source_id"),
                source.name.label("source"),
                (source.alpha / (source.alpha + source.beta)).label("reliability"),
                (source.alpha + source.beta).label("strength"),
                _is_new(source).label("is_new"),
                _first_day(source).label("first_day"),
                document.title,
                chunk.label,
                chunk.text,
                chunk.start,
                chunk.end,
                chunk.page,
                chunk.token_ids,
            )
            .join(document, document.id == chunk.document_id)
            .join(named, named.id == document.source_id)
            .join(source, source.id == func.coalesce(named.merged_into, named.id))
            .where(condition, document.visibility == "live")
        )
        async with self._database.session() as session:
            rows = [dict(row) for row in (await session.execute(statement)).mappings()]
            places = [(row["document_id"], row.pop("ordinal")) for row in rows]
            primers = await find_primers(session, places)
            paged = [_span(row) for row in rows if row["page"] is not None]
            pages = await find_page_starts(session, paged) if paged else {}
        return [
            PassageRow(
                **row | {"token_ids": tokens.unpack(row["token_ids"])},
                primers=primers[at],
                page_starts=pages.get(_span(row), ()),
            )
            for row, at in zip(rows, places, strict=True)
        ]


def _span(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return row["document_id"], row["start"], row["end"]


Vectors = type[models.Embedding] | type[models.NextEmbedding]


async def find_embedded(session: AsyncSession, table: Vectors, collection_id: int) -> list[int]:
    """Ids of the chunks of what can be found that have a vector there."""
    return list(await session.scalars(_of_live(select(table.chunk_id), table, collection_id)))


async def find_vectors(
    session: AsyncSession, table: Vectors, collection_id: int, after_id: int, limit: int | None
) -> tuple[list[int], Float32Array]:
    """Ids and vectors [n, d], by id."""
    statement = _of_live(select(table.chunk_id, table.vector), table, collection_id)
    statement = statement.where(table.chunk_id > after_id).order_by(table.chunk_id).limit(limit)
    rows = (await session.execute(statement)).all()
    if not rows:
        return [], np.zeros((0, 0), dtype=np.float32)
    flat = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").astype(np.float32)
    return [row.chunk_id for row in rows], flat.reshape(len(rows), -1)


def _of_live(statement: Statement, table: Vectors, collection_id: int) -> Statement:
    chunk, document = models.Chunk, models.Document
    return (
        statement.join(chunk, chunk.id == table.chunk_id)
        .join(document, document.id == chunk.document_id)
        .where(document.collection_id == collection_id, document.visibility == "live")
    )


def _is_new(source: type[models.Source]) -> ColumnElement[bool]:
    """As `SourceRow.is_new` says it."""
    observed = source.alpha + source.beta - source.prior_alpha - source.prior_beta
    return and_(~_is_vouched_for(source), observed < PROBATION)


def _first_day(source: type[models.Source]) -> ColumnElement[float | None]:
    """When it was first seen, in days; NULL where that tells nothing: a person vouched for it, or
    it came with the first ones, which whoever set Larder up chose together."""
    earliest = select(func.min(models.Source.created_at)).scalar_subquery()
    tells = and_(~_is_vouched_for(source), source.created_at > earliest + FIRST_IMPORT_S)
    return case((tells, source.created_at / DAY_S), else_=None)


def _is_vouched_for(source: type[models.Source]) -> ColumnElement[bool]:
    return or_(source.prior_alpha != NEUTRAL, source.prior_beta != NEUTRAL)


async def _places(session: AsyncSession, chunk_ids: Sequence[int]) -> dict[int, tuple[int, bool]]:
    """(collection id, whether it can be found) of the chunks that are there."""
    document = models.Document
    statement = (
        select(models.Chunk.id, document.collection_id, document.visibility)
        .join(document)
        .where(models.Chunk.id.in_(chunk_ids))
    )
    return {
        row.id: (row.collection_id, row.visibility == "live")
        for row in await session.execute(statement)
    }
