"""What retrieval needs from outside; implementations live here (pure) or in app (SQL, models)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.types import NO_FILTER, Document, Filter

Float32Array = NDArray[np.float32]
Ids = NDArray[np.int64]


class Parser(Protocol):
    def parse(self, data: bytes, name: str) -> Document:
        """Turn bytes into text with structure. Raises `ParseError` with what the user can do."""
        ...


class PassageTokenizer(Protocol):
    """The decoder's tokenizer, as the chunker sees it."""

    def count(self, text: str) -> int:
        """Number of decoder tokens of `text` tokenised alone."""
        ...

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        """Token ids of the whole passage segment as every prompt will contain it."""
        ...


class Embedder(Protocol):
    @property
    def identity(self) -> str:
        """Digest over model weights, pooling and normalisation; stamped on every index."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Unit vectors, [len(texts), dimension] float32."""
        ...


class LexicalIndex(Protocol):
    async def search(
        self,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter = NO_FILTER,
        allowed: Ids | None = None,
    ) -> list[tuple[int, float]]:
        """(chunk id, score) best first, higher is better. Any Unicode text is accepted.

        `limit` counts what passes the filter. `allowed` are the ids that pass it, where the caller
        has them at hand: who can, looks there instead of asking once more.
        """
        ...


class Selection(Protocol):
    async def chunk_ids(self, collection_id: int, filter_: Filter) -> Ids:
        """Ids of all chunks of a collection that pass, in no order."""
        ...


class DenseIndex(Protocol):
    """Vectors of one collection. Not thread-safe for writers; searches may run beside a writer."""

    def add(self, chunk_ids: Sequence[int], vectors: Float32Array) -> None: ...

    def remove(self, chunk_ids: Sequence[int]) -> int:
        """How many of them were there."""
        ...

    def search(
        self, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]:
        """(chunk id, inner product) best first; `vector` is [dimension].

        With `allowed` only these ids are looked at, so `limit` of them are found where there are.
        """
        ...

    def __len__(self) -> int: ...


class VectorSearch(Protocol):
    """One `DenseIndex` per collection, as the retriever sees them."""

    def search(
        self, collection_id: int, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]: ...

    def vectors(self, collection_id: int, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """What is stored of those that are in the index."""
        ...

    def spread(self, collection_id: int, vector: Float32Array) -> float:
        """How far the question's cosines with passages at random lie apart; above 0."""
        ...


class SourceWeights(Protocol):
    async def weights(self, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        """Reliability in (0, 1) of the source behind each chunk."""
        ...


class PassageTexts(Protocol):
    async def texts(self, chunk_ids: Sequence[int]) -> Mapping[int, str]:
        """Label and passage of each chunk that still exists."""
        ...


class Reranker(Protocol):
    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        """How well each passage answers the question, in (0, 1); chunks that are gone are not in
        it."""
        ...
