"""Bodies of the cache commands, as docs/api.md states them."""

from typing import Literal

from pydantic import Field, model_validator

from app.api.schemas import Body, View
from app.api.values import Name, RowId
from kvstore.types import Encoding

MAX_BYTES = 2**60
TENANT = "default"  # the only one until accounts exist


class ScopeBody(Body):
    """Exactly one of them."""

    chunk_id: RowId | None = None
    document_id: RowId | None = None
    collection: Name | None = None
    source: Name | None = None
    tenant: Literal["default"] | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "ScopeBody":
        named = [name for name in ScopeBody.model_fields if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"name exactly one of {', '.join(ScopeBody.model_fields)}")
        return self


class EvictBody(Body):
    """A scope, or the bytes that may stay on disk."""

    scope: ScopeBody | None = None
    to_bytes: int | None = Field(None, ge=0, le=MAX_BYTES)

    @model_validator(mode="after")
    def _check_one(self) -> "EvictBody":
        if (self.scope is None) == (self.to_bytes is None):
            raise ValueError("name either scope or to_bytes")
        return self


class DocumentCacheView(View):
    document_id: int
    name: str
    chunks: int
    stored: int
    entries: int
    bytes: int
    pinned: int


class DocumentCacheList(View):
    items: list[DocumentCacheView]


class EntryBody(View):
    encoding: Encoding | None
    is_current: bool
    behind: tuple[str, ...]
    num_tokens: int
    num_bytes: int
    tiers: tuple[str, ...]
    uses: int
    last_used_at: float
    pinned: bool


class ChunkCacheView(View):
    chunk_id: int
    document_id: int
    label: str
    num_tokens: int
    entries: list[EntryBody]
    missing: str | None


class ChunkCachePage(View):
    items: list[ChunkCacheView]
    has_more: bool
