"""What the read path needs of the engines and of the decoder (app/decoder/service.py)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from app.decoder.quotes import OpenPair
from app.decoder.types import DecodeEvent, DecodeRequest, Passage, VoteEvent
from kvstore.types import ReuseOptions
from reliability.alignment import Alignment
from reliability.arrays import FloatArray
from reliability.observations import ObservationLog
from reliability.standing import Standing
from reliability.types import Assessment, BetaPosterior, Evidence
from retrieval.types import Query, ScoredChunk


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]:
        """At most `query.limit` chunks of the collection, best first."""
        ...


class Assessor(Protocol):
    def assess(
        self,
        evidence: Sequence[Evidence],
        posteriors: Mapping[int, BetaPosterior],
        limit: int,
        *,
        beta: float,
    ) -> Assessment:
        """Which evidence is kept, in prompt order, and each source's weight. `beta` 0 leaves
        reliability out of it."""
        ...


class Beliefs(Protocol):
    """What was learned about sources beyond the posterior that comes with each passage."""

    async def version(self) -> int:
        """Number of the state of reliability that passages are ranked by; 0 before the first."""
        ...

    async def standing(self) -> Standing:
        """What goes with that state."""
        ...

    async def owners(self) -> Mapping[int, int]:
        """What each merged source was merged into."""
        ...

    async def observations(self) -> ObservationLog:
        """What the beliefs rest on."""
        ...


class Judge(Protocol):
    """`app.decoder.alignment.AlignmentJudge`."""

    async def judge(self, pairs: Sequence[OpenPair]) -> list[Alignment]:
        """Whether each passage states its answer, in order. Raises `ServerBusy`."""
        ...


class TopicBeliefs(Protocol):
    async def on_topic(self, question: str, version: int) -> Mapping[int, BetaPosterior]:
        """Belief about each source on the question's topic, as of a version; empty where that over
        all holds."""
        ...


class Meanings(Protocol):
    """Which passages say the same in other words."""

    def last_limit(self, collection_id: int) -> float | None:
        """Cosine from which on two passages of the collection do, at once; None where it is not
        known."""
        ...

    async def of(self, chunk_ids: Sequence[int]) -> Mapping[int, FloatArray]:
        """Unit vectors."""
        ...


class Decoder(Protocol):
    @property
    def name(self) -> str: ...

    def check_reuse(self, options: ReuseOptions) -> None:
        """Raises `InvalidReuse` for a policy that cannot be served."""
        ...

    def check_fits(self, request: DecodeRequest) -> None:
        """Raises `QuestionTooLong` where even without passages there is no room."""
        ...

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        """Leave out the last passages until the prompt and the answer fit the context."""
        ...

    def warm(self, passages: Sequence[Passage]) -> Sequence[bool]:
        """Which of these the cache holds."""
        ...

    def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """Prefilled, then texts, then Finished. `aclose` stops the model."""
        ...

    def vote(self, requests: Sequence[DecodeRequest]) -> AsyncGenerator[VoteEvent, None]:
        """VotePrefilled, then each request's Voted as it ends. `aclose` stops the model."""
        ...
