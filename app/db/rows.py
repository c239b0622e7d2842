"""What the database layer returns: frozen values, never ORM objects. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date as Date
from typing import Literal

DuplicateLevel = Literal["L0", "L1"]
DocumentState = Literal["received", "chunked", "indexed", "ready", "failed"]
Visibility = Literal["live", "staged", "deleting"]
SourceState = Literal["active", "quarantined"]

# A run's JSON parts are stored as they are given and given back as they were.
Json = Mapping[str, object]
ScopeKind = Literal["chunk", "document", "collection", "source", "tenant"]


@dataclass(frozen=True, slots=True)
class CollectionRow:
    id: int
    name: str
    created_at: float
    documents: int
    documents_ready: int
    chunks: int
    tokens: int


# Nobody is believed or doubted before anything is known: mean 0.5, worth four observations. Until
# one more is known, a source is new: names are cheap. At ten, honest sources that say little
# lost too much: long_tail 0.731 instead of 0.757, ECE of coverage 0.072 instead of 0.039.
NEUTRAL = 2.0
PROBATION = 1.0


@dataclass(frozen=True, slots=True)
class SourceRow:
    id: int
    name: str
    alpha: float
    beta: float
    documents: int
    prior_alpha: float = NEUTRAL
    prior_beta: float = NEUTRAL
    class_name: str | None = None
    state: SourceState = "active"
    merged_into: int | None = None

    @property
    def reliability(self) -> float:
        return self.alpha / (self.alpha + self.beta)

    @property
    def is_new(self) -> bool:
        """Nobody vouched for it, and not one observation's worth is known of it."""
        prior = self.prior_alpha, self.prior_beta
        observed = self.alpha + self.beta - sum(prior)
        return prior == (NEUTRAL, NEUTRAL) and observed < PROBATION

    @property
    def owner(self) -> int:
        """Whose observations these are: the source it was merged into, or itself."""
        return self.id if self.merged_into is None else self.merged_into


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What the sender says of a document, for filters to ask for."""

    tags: frozenset[str] = frozenset()
    date: Date | None = None
    acl_class: str | None = None  # None: the public one


NO_FACTS = DocumentFacts()


@dataclass(frozen=True, slots=True)
class DocumentRow:
    id: int
    collection_id: int
    source_id: int
    source: str
    name: str
    title: str
    media_type: str
    size_bytes: int
    state: DocumentState
    error: str | None
    chunks: int
    chunks_embedded: int
    chunks_cached: int
    tokens: int
    created_at: float
    date: Date | None
    acl_class: str
    tags: tuple[str, ...]  # by name
    external_id: str | None = None
    sha256: str = ""
    visibility: Visibility = "live"


@dataclass(frozen=True, slots=True)
class ChunkText:
    id: int
    text: str


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two chunks with the same (L0) or nearly the same (L1) words; the later one first."""

    chunk_id: int
    other_id: int
    level: DuplicateLevel
    similarity: float


@dataclass(frozen=True, slots=True)
class DuplicateRow:
    """Another document that has passages of a document too, in the same or nearly the same words.

    `chunks` of this document are in it; `similarity` is that of the closest pair, 1 for the same.
    """

    document_id: int
    name: str
    chunks: int
    similarity: float


@dataclass(frozen=True, slots=True)
class DeletedDocument:
    """What went. `token_ids` are only those no other chunk has."""

    document_id: int
    collection_id: int
    chunk_ids: tuple[int, ...]
    token_ids: tuple[tuple[int, ...], ...]
    observations: int = 0
    words: int = 0  # chunks that could be found by their words
    runs: int = 0  # that had seen it, and keep their question and figures only


@dataclass(frozen=True, slots=True)
class PurgeRow:
    """Token ids of a deleted chunk whose KV is still to be purged."""

    id: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UncachedRow:
    """A chunk whose KV is to be computed."""

    id: int
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...] = ()  # token ids of its neighbours (kvstore.primers)


@dataclass(frozen=True, slots=True)
class CacheScope:
    """What a cache command is about; `tenant` is everything."""

    kind: ScopeKind
    id: int = 0


@dataclass(frozen=True, slots=True)
class CacheTargetRow:
    """A chunk as the KV store knows it."""

    chunk_id: int
    document_id: int
    document: str
    state: DocumentState
    label: str
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...]
    is_cached: bool  # its KV was stored once


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A chunk with everything a prompt, a citation or a page needs of it."""

    chunk_id: int
    document_id: int
    collection_id: int
    source_id: int
    source: str
    reliability: float
    title: str
    label: str
    text: str
    start: int
    end: int
    page: int | None
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...] = ()  # token ids of its neighbours (kvstore.primers)
    strength: float = 4.0  # observations that the reliability rests on (alpha + beta)
    is_new: bool = False  # nobody vouched for its source, and little was observed of it
    first_day: float | None = None  # when its source was first seen, where that tells anything
    page_starts: tuple[tuple[int, int], ...] = ()  # (where in the document, page), after `page`

    def page_at(self, place: int) -> int | None:
        """The page of a place in the document's text, where the format has pages."""
        turned = [page for start, page in self.page_starts if start <= place]
        return turned[-1] if turned else self.page


@dataclass(frozen=True, slots=True)
class RunTokens:
    """prompt = exact_prefix + reused + recomputed + fresh."""

    prompt: int = 0
    exact_prefix: int = 0
    reused: int = 0
    recomputed: int = 0
    fresh: int = 0
    generated: int = 0


@dataclass(frozen=True, slots=True)
class NewRun:
    question: str
    collection_id: int
    collection: str
    model: str
    mode: str
    policy: str | None = None
    ratio: float | None = None
    trust: str = "weighted"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. Each passage and citation names its `document_id`."""

    answer: str
    finish_reason: str
    tokens: RunTokens = RunTokens()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    prefill_ms: float | None = None
    full_prefill_ms_estimate: float | None = None
    policy: str | None = None  # what was used; None keeps what was asked for
    ratio: float | None = None
    plan: Json | None = None
    passages: tuple[Json, ...] = ()
    citations: tuple[Json, ...] = ()
    verdict: Json | None = None
    reliability_version: int = 0


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    created_at: float
    finished_at: float | None
    question: str
    collection_id: int
    collection: str
    model: str
    mode: str
    policy: str | None
    ratio: float | None
    answer: str
    finish_reason: str | None  # None while it runs
    tokens: RunTokens
    ttft_ms: float | None
    prefill_ms: float | None
    full_prefill_ms_estimate: float | None
    timings_ms: dict[str, float]
    plan: dict[str, object] | None
    passages: tuple[dict[str, object], ...]
    citations: tuple[dict[str, object], ...]
    is_redacted: bool  # a document it saw was deleted: answer, passages and citations are gone
    trust: str = "weighted"
    verdict: dict[str, object] | None = None
    reliability_version: int = 0  # of the beliefs about sources that it used; 0 before the first


@dataclass(frozen=True, slots=True)
class Bucket:
    """One slice of the overview's window."""

    start: float
    runs: int
    exact_prefix: int
    reused: int
    recomputed: int
    fresh: int


@dataclass(frozen=True, slots=True)
class TtftSample:
    """Times to the first token; percentiles are None without a run."""

    n: int
    p50_ms: float | None
    p95_ms: float | None
    values_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OverviewRow:
    window_hours: int
    runs: int
    documents: int
    chunks: int
    tokens: RunTokens
    saved_ms_estimate: float
    series: tuple[Bucket, ...]
    reuse: TtftSample
    off: TtftSample


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """One request that was drawn: checked against a full prefill (`watch`), or timed without
    (`off`) and with (`on`) reuse."""

    identity: str
    collection_id: int | None
    arm: Literal["watch", "off", "on"]
    first_token_ms: float
    full_ms: float | None = None
    kl: float | None = None
    top1_agreement: float | None = None
    num_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SuspensionRow:
    """Chunk reuse switched off, for a collection or (None) for the whole model."""

    collection_id: int | None
    collection: str | None
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class WatchSummaryRow:
    """What the watch saw since the last reset; means are None without a check."""

    checked: int
    kl_mean: float | None
    kl_max: float | None
    top1_agreement: float | None
    served: TtftSample  # of the checked requests, as they were served
    full: TtftSample  # the same, computed in full
    off: TtftSample
    on: TtftSample
