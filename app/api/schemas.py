"""Request and response bodies of the HTTP interface, as docs/api.md states them.

Requests of own routes refuse unknown fields; those under /v1 ignore them, as OpenAI's do.
"""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.answer.types import Trust
from app.api.values import Day, Name, Text, Visible
from kvstore.types import Encoding, ReuseMode

MAX_TOKENS = 32768


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as pydantic writes a datetime of the views below."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Body(BaseModel):
    """Of JSON, which has types of its own: "5" and true are no numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OpenAIBody(BaseModel):
    model_config = ConfigDict(strict=True)


class View(BaseModel):
    """A response read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class NewCollection(Body):
    name: Name


class HistoryMessage(Body):
    role: Literal["user", "assistant"]
    content: Text


class FilterBody(Body):
    """Which documents may be found; what is left out asks for nothing."""

    sources: list[Name] = Field([], max_length=100)
    tags: list[Name] = Field([], max_length=32)
    date_from: Day | None = None
    date_to: Day | None = None
    min_reliability: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _has_a_span(self) -> Self:
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise ValueError("date_from lies after date_to")
        return self


class NewRun(Body):
    question: Visible
    collection: Name
    mode: ReuseMode = "auto"
    policy: Text | None = None
    ratio: float | None = Field(None, ge=0, le=1)
    encoding: Encoding | None = None
    trust: Trust | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    temperature: float = Field(0.0, ge=0, le=2)
    history: list[HistoryMessage] = []
    filter: FilterBody = FilterBody()


class CollectionView(View):
    id: int
    name: str
    created_at: datetime
    documents: int
    chunks: int
    tokens: int
    documents_ready: int


class DocumentView(View):
    id: int
    collection_id: int
    name: str
    title: str
    source: str
    media_type: str
    size_bytes: int
    state: str
    error: str | None
    chunks: int
    chunks_embedded: int
    chunks_cached: int
    tokens: int
    created_at: datetime
    date: Day | None
    tags: list[str]
    external_id: str | None


class DuplicateView(View):
    """Another document with passages of this one; `chunks` of this one are in it."""

    document_id: int
    name: str
    chunks: int
    similarity: float


class DocumentDetail(DocumentView):
    duplicates: list[DuplicateView] = []


class Refusal(BaseModel):
    """A part of an upload that cannot be taken; the other parts are not touched."""

    name: str
    code: str
    detail: str


class TextView(BaseModel):
    id: int
    title: str
    text: str


class BlockView(View):
    """`start` and `end` index into the document's text; `level` is that of a heading, else 0."""

    ordinal: int
    kind: str
    start: int
    end: int
    level: int
    page: int | None


class BlockPage(BaseModel):
    items: list[BlockView]
    has_more: bool


class DeletedView(BaseModel):
    chunks: int
    kv_entries: int
    kv_bytes: int
    job_id: str
    observations: int


class ChunkView(BaseModel):
    id: int
    document_id: int
    title: str
    source: str
    reliability: float
    label: str
    text: str
    start: int
    end: int
    page: int | None


class CollectionList(BaseModel):
    items: list[CollectionView]


class DocumentPage(BaseModel):
    items: list[DocumentView]
    has_more: bool


class ChunkReuseView(View):
    allowed: bool
    reason: str
    calibration: dict[str, object] | None = None


class TierView(View):
    name: str
    bytes: int
    budget_bytes: int
    entries: int
    pinned: int


class CacheView(BaseModel):
    model: str
    dtype: str
    chunk_reuse: ChunkReuseView
    tiers: list[TierView]
    counters: dict[str, int]
    load_bytes_per_s: dict[str, float]


class SuspensionView(View):
    collection_id: int | None
    collection: str | None
    since: datetime
    reason: str


class WatchView(BaseModel):
    """Everything since the last reset; without chunk reuse there is nothing to watch."""

    active: bool
    share: float = 0.0
    holdout_share: float = 0.0
    limit: float | None = None
    checked: int
    kl_mean: float | None = None
    kl_max: float | None = None
    top1_agreement: float | None = None
    first_token_ms: dict[str, dict[str, object]] = {}
    holdout: dict[str, dict[str, object]] = {}
    suspended: list[SuspensionView] = []


class ContentPart(OpenAIBody):
    type: Text
    text: Text | None = None


class ChatMessage(OpenAIBody):
    role: Text
    content: Text | list[ContentPart] | None = None


class StreamOptions(OpenAIBody):
    include_usage: bool = False


class ChatCompletionRequest(OpenAIBody):
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    collection: Text | None = None
    cache: ReuseMode = "auto"
    trust: Trust | None = None
