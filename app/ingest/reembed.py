"""Another embedder takes over: every chunk is embedded anew in the background, then all at once
searches use the new vectors. Until then the old ones answer. Begun again after a crash, it goes on
where it was.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.next_vectors import NextVectors
from app.errors import StorageBusy, StorageFull
from app.ingest.protocols import VectorIndexes
from app.ingest.vector_space import VectorSpace
from retrieval.protocols import Embedder, Float32Array

BATCH = 32  # chunks; a delete waits for one batch
LOADED = 100_000  # vectors in memory at once: 150 MB of MiniLM's
RETRY_S = 30.0  # after a full disk, or a database that does not answer

log = logging.getLogger(__name__)


class VectorRows(Protocol):
    """Vectors in the database: those that are searched, or those that are to take over."""

    async def embedded(self, collection_id: int) -> list[int]: ...

    async def embeddings(
        self, collection_id: int, after_id: int = 0, limit: int | None = None
    ) -> tuple[list[int], Float32Array]: ...


@dataclass(frozen=True, slots=True)
class ReembedParts:
    """`reference` is the setting that names the new embedder; `switch` is told when it is time."""

    collections: Collections
    chunks: Chunks
    vectors: NextVectors
    embedder: Embedder
    reference: str
    make_indexes: Callable[[int], VectorIndexes]
    switch: Callable[[VectorSpace], None]
    gate: asyncio.Lock


class Reembedder:
    def __init__(self, parts: ReembedParts, retry_s: float = RETRY_S) -> None:
        self._parts = parts
        self._retry_s = retry_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_trying(), name="new embedder")

    async def stop(self) -> None:
        """At any moment: what is in the database is whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self) -> None:
        """Until the new embedder is in use."""
        parts = self._parts
        await parts.vectors.begin(parts.embedder.identity)
        left = await parts.vectors.count_missing()
        log.warning("the embedder changed: %d passages are embedded in the background", left)
        while not await self._advance():
            await asyncio.sleep(0)  # whoever waits for the gate is next
        log.warning("searches use the new embedder now")

    async def _advance(self) -> bool:
        """One batch; true once the new vectors are in use. Holds the gate, as ingestion does."""
        parts = self._parts
        async with parts.gate:
            if await parts.vectors.is_used(parts.embedder.identity):  # and then something broke
                parts.switch(VectorSpace(parts.embedder, await self._loaded(parts.chunks)))
                return True
            batch = await parts.vectors.missing(BATCH)
            if batch:
                texts = [text for _, text in batch]
                vectors = await asyncio.to_thread(parts.embedder.encode, texts)
                chunk_ids = [chunk_id for chunk_id, _ in batch]
                await parts.vectors.save(parts.embedder.identity, chunk_ids, vectors)
                return False
            # Its index first: what fails before the new vectors count leaves the old ones in use.
            indexes = await self._loaded(parts.vectors)
            await parts.vectors.take_over(parts.embedder.identity, parts.reference)
            parts.switch(VectorSpace(parts.embedder, indexes))
            return True

    async def _loaded(self, rows: VectorRows) -> VectorIndexes:
        indexes = self._parts.make_indexes(self._parts.embedder.dimension)
        await load_vectors(self._parts.collections, rows, indexes)
        return indexes

    async def _keep_trying(self) -> None:
        while True:
            try:
                return await self.run()
            except (StorageBusy, StorageFull) as error:
                log.warning("embedding anew waits: %s", error)
            except Exception:
                log.exception("embedding anew stopped; it goes on in %.0f s", self._retry_s)
            await asyncio.sleep(self._retry_s)


async def load_vectors(collections: Collections, rows: VectorRows, indexes: VectorIndexes) -> int:
    """Every index holds exactly the vectors of the database afterwards; how many were missing.

    An index that outlives the process may lack what was committed before a crash, and hold what
    was deleted.
    """
    return sum([await _agree(rows, indexes, row.id) for row in await collections.list()])


async def _agree(rows: VectorRows, indexes: VectorIndexes, collection_id: int) -> int:
    held = set((await asyncio.to_thread(indexes.ids, collection_id)).tolist())
    wanted = set(await rows.embedded(collection_id))
    if surplus := sorted(held - wanted):
        await asyncio.to_thread(indexes.remove, collection_id, surplus)
    missing = wanted - held
    last_id = min(missing, default=0) - 1
    num_added = 0
    while num_added < len(missing):
        chunk_ids, vectors = await rows.embeddings(collection_id, last_id, LOADED)
        if not chunk_ids:
            break
        new = [at for at, chunk_id in enumerate(chunk_ids) if chunk_id in missing]
        added = [chunk_ids[at] for at in new]
        await asyncio.to_thread(indexes.add, collection_id, added, vectors[new])
        num_added += len(new)
        last_id = chunk_ids[-1]
    return num_added
