"""One vector index per collection, of the kind that was asked for or that its size asks for.

The database is the truth; these are copies in memory that are filled at the start.
"""

import logging
import threading
from collections.abc import Sequence

import numpy as np

from retrieval.background import USUAL, Background
from retrieval.dense_kinds import AUTO, KINDS, AnyDenseIndex, kind_for
from retrieval.protocols import Float32Array, Ids

log = logging.getLogger(__name__)


class DenseIndexes:
    """A collection without an index is empty. Threads may search and write at once."""

    def __init__(self, dimension: int, kind: str = "flat") -> None:
        self._dimension = dimension
        self._kind = kind
        self._indexes: dict[int, AnyDenseIndex] = {}
        self._backgrounds: dict[int, Background] = {}
        self._lock = threading.Lock()

    def kind(self, collection_id: int) -> str | None:
        """The name of a collection's kind of index; None where there is none."""
        index = self._indexes.get(collection_id)
        return next((name for name, kind in KINDS.items() if type(index) is kind), None)

    def ids(self, collection_id: int) -> Ids:
        index = self._indexes.get(collection_id)
        return index.ids() if index is not None else np.empty(0, np.int64)

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        with self._lock:
            index = self._indexes.get(collection_id)
            if index is None:
                name = kind_for(0) if self._kind == AUTO else self._kind
                index = self._indexes[collection_id] = KINDS[name](self._dimension)
                self._backgrounds[collection_id] = Background(self._dimension)
        index.add(chunk_ids, vectors)
        self._backgrounds[collection_id].add(vectors)
        if self._kind == AUTO:
            self._follow_size(collection_id)

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> int:
        index = self._indexes.get(collection_id)
        return index.remove(chunk_ids) if index is not None else 0

    def search(
        self, collection_id: int, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]:
        index = self._indexes.get(collection_id)
        return index.search(vector, limit, allowed) if index is not None else []

    def vectors(self, collection_id: int, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        index = self._indexes.get(collection_id)
        return index.vectors(chunk_ids) if index is not None else {}

    def spread(self, collection_id: int, vector: Float32Array) -> float:
        """How far the question's cosines with passages at random lie apart; above 0."""
        background = self._backgrounds.get(collection_id)
        return background.spread(vector) if background is not None else USUAL

    def close(self) -> None:
        self._indexes.clear()
        self._backgrounds.clear()

    def _follow_size(self, collection_id: int) -> None:
        """Write path only, one writer at a time; searches go to the old one until it is done."""
        old = self._indexes[collection_id]
        wanted = kind_for(len(old))
        if list(KINDS).index(wanted) <= list(KINDS).index(self.kind(collection_id) or wanted):
            return  # never back: a collection at a bound would be built again and again
        log.info("collection %d has %d vectors: index %s", collection_id, len(old), wanted)
        new = KINDS[wanted](self._dimension)
        new.add(*old.contents())
        self._indexes[collection_id] = new
