"""Values that cross retrieval's border: documents, chunks, queries and ranked results.

Knows nothing of databases, of KV caches or of who wrote a document.
"""

from dataclasses import dataclass
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
class Query:
    text: str
    collection_id: int
    limit: int = 8


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A ranked chunk. `score` is the fused relevance; ranks are 1-based."""

    chunk_id: int
    score: float
    lexical_rank: int | None = None
    dense_rank: int | None = None
    similarity: float | None = None  # cosine with the question, -1 to 1
