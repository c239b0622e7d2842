"""Values of the cache commands."""

from dataclasses import dataclass

from kvstore.upkeep import EntryView


@dataclass(frozen=True, slots=True)
class DocumentCache:
    """What the store holds of one document; `stored` counts chunks with an entry on disk."""

    document_id: int
    name: str
    chunks: int
    stored: int
    entries: int
    bytes: int
    pinned: int


@dataclass(frozen=True, slots=True)
class ChunkCache:
    """What the store holds of one chunk. `missing` says why an encoding is not there: a code."""

    chunk_id: int
    document_id: int
    label: str
    num_tokens: int
    entries: tuple[EntryView, ...]
    missing: str | None
