"""Vectors of one collection by position, and which of them still count. Knows no index over them.

The numbers lie in a file without a name: what is not looked at need not stay in memory, so an index
of small codes over them is really small.
"""

import tempfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexMismatch
from retrieval.protocols import Float32Array, Ids

Mask = NDArray[np.bool_]

_FIRST_CAPACITY = 1024


class VectorRows:
    """Rows are only ever appended; a removed one stays, marked dead, until `alive_only`."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._capacity = 0
        self._num_rows = 0
        self._matrix = np.empty((0, dimension), np.float32)
        self._ids = np.empty(0, np.int64)
        self._alive = np.empty(0, np.bool_)
        self._position_of: dict[int, int] = {}  # of those alive

    def __len__(self) -> int:
        """Rows, dead ones too."""
        return self._num_rows

    @property
    def num_alive(self) -> int:
        return len(self._position_of)

    @property
    def matrix(self) -> Float32Array:
        """[rows, dimension]."""
        return self._matrix[: self._num_rows]

    @property
    def ids(self) -> Ids:
        return self._ids[: self._num_rows]

    def append(self, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        """All or nothing. Raises `IndexMismatch` for an id that is there already."""
        if known := self._position_of.keys() & set(chunk_ids):
            raise IndexMismatch(f"chunk {min(known)} is in the index already")
        first, end = self._num_rows, self._num_rows + len(chunk_ids)
        self._reserve(end)
        self._matrix[first:end] = vectors
        self._ids[first:end] = chunk_ids
        self._alive[first:end] = True
        self._position_of.update(zip(chunk_ids, range(first, end), strict=True))
        self._num_rows = end

    def kill(self, chunk_ids: Sequence[int]) -> int:
        """How many went. Ids that are not there are passed over."""
        num_gone = 0
        for chunk_id in chunk_ids:
            position = self._position_of.pop(chunk_id, None)
            if position is not None:
                self._alive[position] = False
                num_gone += 1
        return num_gone

    def of(self, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """Copies of those that are there and alive."""
        known = self._position_of.keys() & set(chunk_ids)
        return {chunk_id: np.array(self._matrix[self._position_of[chunk_id]]) for chunk_id in known}

    def mask(self, allowed: Ids | None) -> Mask | None:
        """[rows], of what counts and is allowed; None where that is all."""
        alive = self._alive[: self._num_rows]
        if allowed is not None:
            return alive & np.isin(self.ids, allowed)
        return alive if self.num_alive < self._num_rows else None

    def alive_only(self) -> "VectorRows":
        """A copy without the dead, in the same order."""
        alive = self._alive[: self._num_rows]
        rows = VectorRows(self._dimension)
        rows.append(self.ids[alive].tolist(), self.matrix[alive])
        return rows

    def _reserve(self, num_rows: int) -> None:
        if num_rows <= self._capacity:
            return
        self._capacity = max(num_rows, 2 * self._capacity, _FIRST_CAPACITY)
        with tempfile.TemporaryFile(prefix="larder-vectors-") as file:  # the mapping outlives it
            file.truncate(self._capacity * self._dimension * 4)
            shape = (self._capacity, self._dimension)
            matrix = np.memmap(file, np.float32, "r+", shape=shape)
        matrix[: self._num_rows] = self.matrix
        self._matrix = matrix
        self._ids = np.resize(self._ids, self._capacity)
        self._alive = np.resize(self._alive, self._capacity)
