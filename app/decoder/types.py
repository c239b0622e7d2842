"""What the rest of app hands to the decoder and gets back. No HTTP, no SQL."""

from dataclasses import dataclass, field
from typing import Literal

from kvstore.purging import TierPurge
from kvstore.types import PrefillReport, ReuseOptions
from kvstore.vote import BranchReport

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk on its way into a prompt or into the KV store; token ids were fixed at ingest."""

    chunk_id: int
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...] = ()  # of its neighbours in the document
    bias: float = 0.0  # kvstore.types.Segment.bias
    tag: str = ""  # a line about it that stands with the question, never in the passage


@dataclass(frozen=True, slots=True)
class GenerationParams:
    max_tokens: int = 256
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    passages: tuple[Passage, ...]  # prompt order, best first
    question: str
    history: tuple[Message, ...] = ()
    params: GenerationParams = field(default_factory=GenerationParams)
    reuse: ReuseOptions = field(default_factory=ReuseOptions)
    collection_id: int | None = None  # which one the passages are from


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The prompt is in the cache and the first token is known."""

    report: PrefillReport
    prefill_ms: float
    full_prefill_ms_estimate: float  # what mode "off" would have cost on this machine
    queue_ms: float


@dataclass(frozen=True, slots=True)
class TokenText:
    text: str  # one or more tokens' text; never a broken UTF-8 sequence


@dataclass(frozen=True, slots=True)
class Finished:
    reason: FinishReason
    num_generated: int


DecodeEvent = Prefilled | TokenText | Finished


@dataclass(frozen=True, slots=True)
class VotePrefilled:
    """All prompts of a vote are in one cache; `reports` come in the order of the requests."""

    reports: tuple[BranchReport, ...]
    prefill_ms: float
    full_prefill_ms_estimate: float  # had each prompt been prefilled in full on this machine
    queue_ms: float


@dataclass(frozen=True, slots=True)
class Voted:
    """One request's whole answer; answers come as they are finished."""

    place: int  # of the request
    text: str
    reason: FinishReason
    num_generated: int


VoteEvent = VotePrefilled | Voted


@dataclass(frozen=True, slots=True)
class PrecomputeReport:
    """Outcome of one batch of chunks. `reason` says why some were left, e.g. `disk_budget`."""

    stored: int
    already: int
    left: int
    num_tokens: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """`complete` is false where a tier could not be asked; purging again finishes it."""

    entries: int
    bytes: int
    complete: bool = True
    tiers: tuple[TierPurge, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkReuseStatus:
    allowed: bool
    reason: (
        str  # "code: sentence": what it rests on, or why only exact reuse is served and what to do
    )
    calibration: dict[str, object] | None = None  # policy, ratio, target, drift and where measured
