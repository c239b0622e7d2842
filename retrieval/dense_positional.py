"""What indexes over codes, graphs and lists share: candidates from FAISS, exact scores from the
vectors.

FAISS numbers rows by position and never removes one: ids, tombstones and filters are kept here, so
nothing can shift. Knows no particular index.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.dense import bitmap_selector, check_vectors
from retrieval.dense_rows import Mask, VectorRows
from retrieval.errors import IndexMismatch
from retrieval.protocols import Float32Array, Ids

Positions = NDArray[np.int64]

# Up to so many rows, or so small a share of all, a plain scan is faster than the index and exact;
# graphs lose recall under a narrow filter.
EXACT_ROWS = 2_000
EXACT_SHARE = 0.02
# Above this share of dead rows the index is made anew (graphs keep walking over them).
MAX_DEAD = 0.2
MIN_DEAD = 256


class Structure(Protocol):
    """A FAISS index over the first `num_rows` rows."""

    @property
    def num_rows(self) -> int: ...

    def extend(self, vectors: Float32Array) -> None:
        """Take in what follows its own rows in `vectors`, or leave that to be scanned."""
        ...

    def is_outgrown(self, num_rows: int) -> bool:
        """Whether with so many rows it should be built anew."""
        ...

    def candidates(
        self, row: Float32Array, count: int, selector: faiss.IDSelector | None
    ) -> Positions | None:
        """At least `count` positions where there are, in any order; -1 for none. `row`: [1, d].

        None: the best could be anywhere."""
        ...


class PositionalIndex:
    """Implements `retrieval.protocols.DenseIndex`.

    Writers take turns for as long as building lasts; a search waits only while rows change places.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._rows = VectorRows(dimension)
        self._structure: Structure | None = None  # None: few rows, all are looked at
        self._writer = threading.Lock()
        self._lock = threading.Lock()

    def build(self, vectors: Float32Array) -> Structure:
        """A structure over all of `vectors`, [rows, dimension]."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self._rows.num_alive

    def ids(self) -> Ids:
        """Of all vectors that count, in no order."""
        with self._lock:
            mask = self._rows.mask(None)
            return (self._rows.ids if mask is None else self._rows.ids[mask]).copy()

    def contents(self) -> tuple[list[int], Float32Array]:
        with self._lock:
            rows = self._rows.alive_only()
        return rows.ids.tolist(), np.array(rows.matrix)

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """What is stored of those that are in the index."""
        with self._lock:
            return self._rows.of(chunk_ids)

    def add(self, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        """All or nothing. An id that is in the index already is refused."""
        check_vectors(chunk_ids, vectors, self._dimension)
        with self._writer:
            with self._lock:
                self._rows.append(chunk_ids, vectors)
                if self._structure is not None:
                    self._structure.extend(self._rows.matrix)
            if self._is_outgrown():
                self._rebuild()

    def remove(self, chunk_ids: Sequence[int]) -> int:
        """How many went. Ids that are not there are passed over, so removing twice is fine."""
        with self._writer:
            with self._lock:
                num_gone = self._rows.kill(chunk_ids)
            num_dead = len(self._rows) - self._rows.num_alive
            if num_dead >= MIN_DEAD and num_dead > MAX_DEAD * len(self._rows):
                self._rebuild()
            return num_gone

    def search(
        self, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]:
        if vector.shape != (self._dimension,):
            raise IndexMismatch(f"vector has shape {vector.shape}, not ({self._dimension},)")
        if limit < 1:
            return []
        row = np.ascontiguousarray(vector[None], np.float32)
        with self._lock:
            positions = self._candidates(row, limit, self._rows.mask(allowed))
            if not len(positions):
                return []
            scores = self._rows.matrix[positions] @ row[0]
            ids = self._rows.ids[positions]
        best = np.argsort(-scores, kind="stable")[:limit]
        return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))

    def _candidates(self, row: Float32Array, limit: int, mask: Mask | None) -> Positions:
        rows, structure = len(self._rows), self._structure
        num_allowed = rows if mask is None else int(mask.sum())
        everything = np.arange(rows) if mask is None else np.flatnonzero(mask)
        if structure is None or num_allowed <= max(EXACT_ROWS, EXACT_SHARE * rows):
            return everything
        selector = None if mask is None else bitmap_selector(mask)
        found = structure.candidates(row, min(limit, num_allowed), selector)
        if found is None:
            return everything
        later = np.arange(structure.num_rows, rows)
        if mask is not None:
            later = later[mask[later]]
        return np.concatenate([found[found >= 0], later])

    def _is_outgrown(self) -> bool:
        if self._structure is None:
            return len(self._rows) > EXACT_ROWS
        return self._structure.is_outgrown(len(self._rows))

    def _rebuild(self) -> None:
        """Beside what is searched meanwhile; the writer's lock is held."""
        rows = self._rows.alive_only()
        structure = self.build(rows.matrix) if len(rows) > EXACT_ROWS else None
        with self._lock:
            self._rows, self._structure = rows, structure
