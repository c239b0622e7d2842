"""The embedder that searches and new documents use now, with its indexes; both change at once.

Whoever searches keeps the pair it began with, so that no question is embedded by one model and
looked up among the vectors of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.ingest.protocols import VectorIndexes
from retrieval.protocols import Embedder, Float32Array, Ids
from retrieval.types import Query, ScoredChunk


@dataclass(frozen=True, slots=True)
class VectorSpace:
    embedder: Embedder
    indexes: VectorIndexes


class Searcher(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]: ...


class CurrentSearcher:
    """Searches of one space until `switch`; those under way end in the space they began in."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    def switch(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def search(self, query: Query) -> list[ScoredChunk]:
        return await self._searcher.search(query)


class CurrentSpace:
    """An `Embedder` and `VectorIndexes` for writers, who hold the gate; so does `switch`."""

    def __init__(self, space: VectorSpace) -> None:
        self._space = space

    def switch(self, space: VectorSpace) -> None:
        self._space = space

    @property
    def identity(self) -> str:
        return self._space.embedder.identity

    @property
    def dimension(self) -> int:
        return self._space.embedder.dimension

    def encode(self, texts: Sequence[str]) -> Float32Array:
        return self._space.embedder.encode(texts)

    def ids(self, collection_id: int) -> Ids:
        return self._space.indexes.ids(collection_id)

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        self._space.indexes.add(collection_id, chunk_ids, vectors)

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> int:
        return self._space.indexes.remove(collection_id, chunk_ids)
