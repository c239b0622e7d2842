"""What the read path needs of the engines and of the decoder (app/decoder/service.py)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from app.decoder.types import DecodeEvent, DecodeRequest
from reliability.types import Assessment, BetaPosterior, Evidence
from retrieval.types import Query, ScoredChunk


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]:
        """At most `query.limit` chunks of the collection, best first."""
        ...


class Assessor(Protocol):
    def assess(
        self, evidence: Sequence[Evidence], posteriors: Mapping[int, BetaPosterior], limit: int
    ) -> Assessment:
        """Which evidence is kept, in prompt order, and each source's weight."""
        ...


class Decoder(Protocol):
    @property
    def name(self) -> str: ...

    def check_fits(self, request: DecodeRequest) -> None:
        """Raises `QuestionTooLong` where even without passages there is no room."""
        ...

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        """Leave out the last passages until the prompt and the answer fit the context."""
        ...

    def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """Prefilled, then texts, then Finished. `aclose` stops the model."""
        ...
