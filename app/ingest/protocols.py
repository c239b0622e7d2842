"""What the write path needs of others; app/decoder/service.py and retrieval implement it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from app.db.job_rows import JobRow, JobStep
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

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> int:
        """How many of them were there."""
        ...


class JobHandler(Protocol):
    """Does one kind of job, a bounded step at a time; app/ingest/worker.py calls it.

    Between two steps the process may die, the job may be cancelled, or other jobs may have their
    turn. A step therefore starts from what the database says and leaves it so that the next one
    can, in whatever process. What it raises counts as an attempt, `StorageFull` and `StorageBusy`
    excepted.
    """

    @property
    def kind(self) -> str: ...

    async def step(self, job: JobRow) -> JobStep:
        """Some seconds of work at most."""
        ...

    async def give_up(self, job: JobRow, reason: str) -> bool:
        """Several attempts in a row came to nothing. True: what stood in the way was put aside, go
        on with the rest; False: the whole job has failed."""
        ...


class Beliefs(Protocol):
    async def refit(self, reason: str) -> object:
        """Compute anew what is believed of each source from what is left of the observations."""
        ...
