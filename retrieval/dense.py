"""Vectors of a collection in FAISS (kind `flat`): exact inner products, deletions at once.

The database is the truth; this is a copy in memory that is filled at the start. Flat, because an
exact search over 100,000 vectors takes some 6 ms, and because ids under IVF shift silently after a
removal. Knows no texts.
"""

import threading
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexMismatch
from retrieval.protocols import Float32Array, Ids

# Physical removal copies the whole index (10 ms at 100,000), so it waits for this many deletions
# and for a tenth of the index.
_MIN_REMOVALS = 256

_MIN_BITMAP = 1_000
_MAX_BITS_PER_ID = 256


class FlatDenseIndex:
    """Implements `retrieval.protocols.DenseIndex`.

    One lock for all: FAISS moves its memory when it grows, so a search may not run beside an add.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._ids: set[int] = set()
        self._tombstones: set[int] = set()
        self._dead: faiss.IDSelector | None = None  # the tombstones, for FAISS
        self._alive: faiss.IDSelector | None = None  # everything else; None: all
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        """All or nothing. An id that is in the index already is refused."""
        new = check_vectors(chunk_ids, vectors, self._dimension)
        if not new:
            return
        with self._lock:
            if known := new & self._ids:
                raise IndexMismatch(f"chunk {min(known)} is in the index already")
            if new & self._tombstones:
                self._compact()
            ids = np.asarray(chunk_ids, np.int64)
            self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids)
            self._ids |= new

    def remove(self, chunk_ids: Sequence[int]) -> int:
        """How many went. Ids that are not there are passed over, so removing twice is fine."""
        with self._lock:
            gone = self._ids.intersection(chunk_ids)
            self._ids -= gone
            self._tombstones |= gone
            if gone:
                self._hide_tombstones()
            if len(self._tombstones) >= max(_MIN_REMOVALS, self._index.ntotal // 10):
                self._compact()
            return len(gone)

    def ids(self) -> Ids:
        """Of all vectors that count, in no order."""
        with self._lock:
            return np.fromiter(self._ids, np.int64, len(self._ids))

    def contents(self) -> tuple[list[int], Float32Array]:
        with self._lock:
            ids = sorted(self._ids)
            vectors: Float32Array = self._index.reconstruct_batch(np.asarray(ids, np.int64))
        return ids, vectors

    def search(
        self, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]:
        if vector.shape != (self._dimension,):
            raise IndexMismatch(f"vector has shape {vector.shape}, not ({self._dimension},)")
        with self._lock:
            num_results = min(limit, len(self._ids))
            if num_results < 1:
                return []
            # FAISS keeps plain pointers to selectors: they stay referenced while it searches.
            selectors = self._selectors(allowed)
            options = faiss.SearchParameters()
            options.sel = selectors[-1] if selectors else None
            row = np.ascontiguousarray(vector[None], np.float32)
            scores, ids = self._index.search(row, num_results, params=options)
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(chunk_id, score) for chunk_id, score in found if chunk_id >= 0]

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """What is stored of those that are in the index."""
        with self._lock:
            known = self._ids.intersection(chunk_ids)
            rows = {chunk_id: self._index.reconstruct(chunk_id) for chunk_id in known}
        return {chunk_id: np.asarray(row, np.float32) for chunk_id, row in rows.items()}

    def _selectors(self, allowed: Ids | None) -> list[faiss.IDSelector]:
        """The last one is what the search asks; those before are its parts."""
        alive = [self._alive] if self._alive is not None else []
        if allowed is None:
            return alive
        chosen = _selector(np.ascontiguousarray(allowed, np.int64))
        return [*alive, chosen, *(faiss.IDSelectorAnd(chosen, both) for both in alive)]

    def _hide_tombstones(self) -> None:
        # FAISS keeps plain pointers from one selector to the next: both stay referenced here.
        self._dead = faiss.IDSelectorBatch(np.fromiter(self._tombstones, np.int64))
        self._alive = faiss.IDSelectorNot(self._dead)

    def _compact(self) -> None:
        if self._dead is not None:
            self._index.remove_ids(self._dead)
            self._tombstones.clear()
            self._dead = self._alive = None


def check_vectors(chunk_ids: Sequence[int], vectors: Float32Array, dimension: int) -> set[int]:
    """The ids as a set. Raises `IndexMismatch` for what no index may take."""
    if vectors.shape != (len(chunk_ids), dimension):
        raise IndexMismatch(
            f"vectors have shape {vectors.shape}, not ({len(chunk_ids)}, {dimension}); "
            "they were made by another embedder"
        )
    new = set(chunk_ids)
    if len(new) < len(chunk_ids):
        raise IndexMismatch("a chunk is given twice")
    if new and min(new) < 0:
        raise IndexMismatch(f"chunk ids are never negative: {min(new)}")
    if not np.isfinite(vectors).all():
        raise IndexMismatch("vectors hold values that are not finite")
    return new


def _selector(allowed: Ids) -> faiss.IDSelector:
    """A bitmap where ids lie close together, as those of one database do: it asks one bit."""
    if len(allowed) < _MIN_BITMAP or int(allowed.max()) > _MAX_BITS_PER_ID * len(allowed):
        return faiss.IDSelectorBatch(allowed)
    bits = np.zeros(int(allowed.max()) + 1, np.bool_)
    bits[allowed] = True
    return bitmap_selector(bits)


def bitmap_selector(bits: NDArray[np.bool_]) -> faiss.IDSelector:
    """The true ones. FAISS's wrapper, which its type stubs do not know, keeps the bytes alive."""
    packed = np.packbits(bits, bitorder="little")
    return faiss.IDSelectorBitmap(packed)  # type: ignore[call-arg, arg-type]
