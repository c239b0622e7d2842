"""Vectors of passages, and from which likeness on two of a collection say the same (L2)."""

import random
import time
from collections.abc import Mapping, Sequence

import numpy as np

from app.db.chunks import Chunks, Float32Array
from reliability.arrays import FloatArray
from reliability.families.restatement import cosine_limit

SAMPLE = 200  # passages, each of another document; all pairs of different sources are compared
REMEASURE_S = 3600.0


class Meanings:
    """A collection's limit is measured once an hour."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._limits: dict[int, tuple[float, float | None]] = {}

    async def limit(self, collection_id: int) -> float | None:
        """None where the collection has too little to tell: then L2 joins nothing."""
        measured, limit = self._limits.get(collection_id, (-REMEASURE_S, None))
        if time.monotonic() - measured >= REMEASURE_S:
            sample = await self._chunks.sample(collection_id, SAMPLE, random.Random())
            limit = _limit(sample)
            self._limits[collection_id] = time.monotonic(), limit
        return limit

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
