"""Values that cross retrieval's border: documents, chunks, queries and ranked results.

Knows nothing of databases, of KV caches or of who wrote a document.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit of a document; `start` and `end` index into `Document.text`."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0  # heading depth, 1 is the highest; 0 for anything else
    page: int | None = None  # 1-based, only where the format has pages


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed text. Citations are character spans of `text`, so it never changes afterwards."""

    title: str
    text: str
    media_type: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text == document.text[start:end]`; token ids are fixed at ingest (DESIGN 3)."""

    ordinal: int
    start: int
    end: int
    label: str  # title and heading path; never a rank or a date of today
    text: str
    token_ids: tuple[int, ...]  # of the rendered passage segment, label included
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents may be found; what is left out asks for nothing. All parts must hold.

    `acl_classes` is a right: it comes from who asks, never from what was asked. None reads all.
    """

    sources: frozenset[str] = frozenset()  # names; any of them
    tags: frozenset[str] = frozenset()  # all of them
    date_from: date | None = None  # both ends count; a document without a date has none of them
    date_to: date | None = None
    min_reliability: float = 0.0  # of the source
    acl_classes: frozenset[str] | None = None
    only_active: bool = False  # not of sources in quarantine

    def __post_init__(self) -> None:
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise ValueError(f"nothing lies between {self.date_from} and {self.date_to}")
        if not 0 <= self.min_reliability <= 1:
            raise ValueError(f"min_reliability must lie from 0 to 1, not {self.min_reliability}")

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return self == NO_FILTER


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    collection_id: int
    limit: int = 8
    filter: Filter = NO_FILTER


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A ranked chunk. `score` is the fused relevance; ranks are 1-based."""

    chunk_id: int
    score: float
    lexical_rank: int | None = None
    dense_rank: int | None = None
    similarity: float | None = None  # cosine with the question, -1 to 1
