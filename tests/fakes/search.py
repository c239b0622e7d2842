"""Small stand-ins for retrieval and reliability, for tests that are about something else."""

import zlib
from collections.abc import Sequence

import numpy as np

from app.db.lexical import LexicalSearch
from reliability.types import Assessment, Dropped, Evidence
from retrieval.errors import UnsupportedMedia
from retrieval.protocols import Float32Array
from retrieval.types import Block, Chunk, Document, Query, ScoredChunk


class HashEmbedder:
    """Counts words by hash: texts with the same words are close."""

    identity = "hash-16"
    dimension = 16

    def encode(self, texts: Sequence[str]) -> Float32Array:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class WordRetriever:
    """Full-text search only; every result scores 1 / rank."""

    def __init__(self, words: LexicalSearch, limit: int) -> None:
        self._words = words
        self._limit = limit

    async def search(self, query: Query) -> list[ScoredChunk]:
        found = await self._words.search(query.text, query.collection_id, self._limit)
        return [
            ScoredChunk(chunk_id, 1 / rank, lexical_rank=rank)
            for rank, (chunk_id, _) in enumerate(found, start=1)
        ]


class KeepFirst:
    """Keeps the best `limit` and drops the rest as `over_limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def assess(self, evidence: Sequence[Evidence]) -> Assessment:
        return Assessment(
            kept=tuple(item.chunk_id for item in evidence[: self._limit]),
            dropped=tuple(Dropped(item.chunk_id, "over_limit") for item in evidence[self._limit :]),
            weights={item.source_id: 0.5 for item in evidence},
        )


class Vectors:
    """Remembers which chunks are in."""

    def __init__(self) -> None:
        self.ids: dict[int, set[int]] = {}

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        self.ids.setdefault(collection_id, set()).update(chunk_ids)

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> None:
        self.ids.get(collection_id, set()).difference_update(chunk_ids)


def parse_plain(data: bytes, name: str) -> Document:
    if b"\0" in data:
        raise UnsupportedMedia(f"{name} is not text")
    text = data.decode()
    title = text.partition("\n")[0].lstrip("# ") or name
    return Document(title, text, "text/plain", (Block("paragraph", 0, len(text)),))


def split_paragraphs(document: Document) -> list[Chunk]:
    chunks: list[Chunk] = []
    start = 0
    for part in document.text.split("\n\n"):
        if part.strip():
            ids = tuple(zlib.crc32(word.encode()) % 50_000 for word in part.split())
            end = start + len(part)
            chunks.append(Chunk(len(chunks), start, end, document.title, part, ids))
        start += len(part) + 2
    return chunks
