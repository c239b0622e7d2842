"""Vectors of passages, and from which likeness on two of a collection say the same (L2)."""

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence

import numpy as np

from app.db.chunks import Chunks, Float32Array
from reliability.arrays import FloatArray
from reliability.families.restatement import cosine_limit

SAMPLE = 200  # passages, each of another document; all pairs of different sources are compared
REMEASURE_S = 3600.0
UNKNOWN_S = 60.0  # where a collection had too little to tell: it may be growing

log = logging.getLogger(__name__)


class Meanings:
    """A collection's limit is measured once an hour, beside what is answered meanwhile; once a
    minute where it has none yet."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._limits: dict[int, tuple[float, float | None]] = {}
        self._measuring: dict[int, asyncio.Task[float | None]] = {}
        self._turn = asyncio.Lock()  # one connection for all that are due at once

    def start(self, collection_ids: Sequence[int]) -> None:
        """So that it is known before the first question."""
        for collection_id in collection_ids:
            self.last_limit(collection_id)

    async def stop(self) -> None:
        tasks = list(self._measuring.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def last_limit(self, collection_id: int) -> float | None:
        """What was measured last. Nobody waits: where that is too long ago, the next will know.

        None where it is not known yet, or the collection has too little to tell: then L2 joins
        nothing.
        """
        if self._is_due(collection_id):
            self._measure(collection_id)
        return self._limits.get(collection_id, (0.0, None))[1]

    async def limit(self, collection_id: int) -> float | None:
        """The same, never older than an hour; waits for it. Raises what the database raises."""
        if self._is_due(collection_id):
            return await asyncio.shield(self._measure(collection_id))
        return self._limits[collection_id][1]

    def _is_due(self, collection_id: int) -> bool:
        if collection_id not in self._limits:
            return True
        measured, limit = self._limits[collection_id]
        return time.monotonic() - measured >= (UNKNOWN_S if limit is None else REMEASURE_S)

    def _measure(self, collection_id: int) -> asyncio.Task[float | None]:
        """One at a time for each collection, whoever asks."""
        task = self._measuring.get(collection_id)
        if task is None:
            task = asyncio.create_task(self._measured(collection_id), name="limit of L2")
            self._measuring[collection_id] = task
            task.add_done_callback(lambda done: self._finish(collection_id, done))
        return task

    async def _measured(self, collection_id: int) -> float | None:
        async with self._turn:
            sample = await self._chunks.sample(collection_id, SAMPLE, random.Random())
        limit = await asyncio.to_thread(_limit, sample)
        self._limits[collection_id] = time.monotonic(), limit
        return limit

    def _finish(self, collection_id: int, task: asyncio.Task[float | None]) -> None:
        del self._measuring[collection_id]
        if not task.cancelled() and (error := task.exception()):
            log.error("the limit of collection %d stays as it was", collection_id, exc_info=error)

    async def of(self, chunk_ids: Sequence[int]) -> Mapping[int, FloatArray]:
        """Unit vectors; of a chunk without one there is none."""
        found = await self._chunks.vectors(chunk_ids)
        return {chunk_id: _unit(vector) for chunk_id, vector in found.items()}


def _limit(sample: Sequence[tuple[int, Float32Array]]) -> float | None:
    """From (source, vector) of random passages."""
    if not sample:
        return None
    sources = np.array([source for source, _ in sample])
    vectors = np.stack([_unit(vector) for _, vector in sample])
    apart = np.triu(sources[:, None] != sources[None, :], k=1)
    return cosine_limit((vectors @ vectors.T)[apart].tolist())


def _unit(vector: Float32Array) -> FloatArray:
    wide = np.asarray(vector, dtype=np.float64)
    return np.asarray(wide / max(float(np.linalg.norm(wide)), 1e-12))
