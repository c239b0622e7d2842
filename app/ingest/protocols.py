"""What the write path needs of others; app/decoder/service.py and retrieval implement it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from retrieval.protocols import Float32Array, Ids, PassageTokenizer
from retrieval.types import Chunk, Document

# Bytes, file name and stated media type; raises RetrievalError.
Parse = Callable[[bytes, str, str | None], Document]
Split = Callable[[Document], Sequence[Chunk]]


class Decoder(PassageTokenizer, Protocol):
    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Digest under which its KV is stored; another one finds nothing of it."""
        ...

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        """Compute and store the KV of passages that are not stored yet."""
        ...

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        """Forget passages in every tier; what is not there is no error."""
        ...


class VectorIndexes(Protocol):
    """One `retrieval.protocols.DenseIndex` per collection; made when first needed."""

    def ids(self, collection_id: int) -> Ids:
        """What a collection's index holds: nothing at the start, or what an earlier run left."""
        ...

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None: ...

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> None: ...


class Beliefs(Protocol):
    async def refit(self, reason: str) -> object:
        """Compute anew what is believed of each source from what is left of the observations."""
        ...
