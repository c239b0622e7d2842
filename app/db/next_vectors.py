"""Vectors of an embedder that is about to take over, beside those that searches still use."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite takes the same

from app.db import models
from app.db.chunks import find_embedded, find_vectors
from app.db.session import Database, retried
from app.db.stamps import EMBEDDER, EMBEDDER_REFERENCE, Stamps, replace_stamp

Float32Array = NDArray[np.float32]


class NextVectors:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def begin(self, embedder: str) -> None:
        """Forget what was made with yet another embedder; what is there of this one stays."""
        other = models.NextEmbedding.embedder != embedder
        async with self._database.transaction() as session:
            await session.execute(delete(models.NextEmbedding).where(other))

    async def missing(self, limit: int) -> list[tuple[int, str]]:
        """(chunk id, label and passage) of the first chunks without a vector, by id."""
        chunk, found = models.Chunk, models.NextEmbedding
        statement = (
            select(chunk.id, chunk.label, chunk.text)
            .outerjoin(found, found.chunk_id == chunk.id)
            .where(found.chunk_id.is_(None))
            .order_by(chunk.id)
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return [(row.id, f"{row.label}\n{row.text}") for row in rows]

    async def count_missing(self) -> int:
        chunk, found = models.Chunk, models.NextEmbedding
        statement = (
            select(func.count(chunk.id))
            .outerjoin(found, found.chunk_id == chunk.id)
            .where(found.chunk_id.is_(None))
        )
        async with self._database.session() as session:
            return await session.scalar(statement) or 0

    @retried
    async def save(self, embedder: str, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        """One vector a chunk, [n, d]; a second time changes nothing."""
        packed = np.ascontiguousarray(vectors, dtype="<f4")
        values = [
            {"chunk_id": chunk_id, "embedder": embedder, "vector": vector.tobytes()}
            for chunk_id, vector in zip(chunk_ids, packed, strict=True)
        ]
        async with self._database.transaction() as session:
            await session.execute(upsert(models.NextEmbedding).on_conflict_do_nothing(), values)

    async def is_used(self, embedder: str) -> bool:
        """Whether it has taken over already."""
        return await Stamps(self._database).get(EMBEDDER) == embedder

    async def embedded(self, collection_id: int) -> list[int]:
        """As `Chunks.embedded`, of what is to take over."""
        async with self._database.session() as session:
            return await find_embedded(session, models.NextEmbedding, collection_id)

    async def embeddings(
        self, collection_id: int, after_id: int = 0, limit: int | None = None
    ) -> tuple[list[int], Float32Array]:
        """As `Chunks.embeddings`, of what is to take over."""
        async with self._database.session() as session:
            return await find_vectors(session, models.NextEmbedding, collection_id, after_id, limit)

    @retried
    async def take_over(self, embedder: str, reference: str) -> None:
        """The new vectors instead of the old ones, and who made them: all or nothing."""
        made, used = models.NextEmbedding, models.Embedding
        async with self._database.transaction() as session:
            await session.execute(delete(used))
            moved = select(made.chunk_id, made.vector).where(made.embedder == embedder)
            await session.execute(insert(used).from_select(["chunk_id", "vector"], moved))
            await session.execute(delete(made))
            await replace_stamp(session, EMBEDDER, embedder)
            await replace_stamp(session, EMBEDDER_REFERENCE, reference)
