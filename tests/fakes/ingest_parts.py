"""Small stand-ins for what the write path calls: an embedder, vector indexes, a passage store."""

import hashlib
from collections.abc import Sequence

import numpy as np

from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from retrieval.errors import UnsupportedMedia
from retrieval.protocols import Float32Array, Ids
from retrieval.types import Chunk, Document


def parse_text(data: bytes, name: str, media_type: str | None) -> Document:
    if b"\x00" in data:
        raise UnsupportedMedia(f"{name} is a binary file; send text")
    return Document(name, data.decode("utf-8"), "text/plain", ())


def split_lines(document: Document) -> list[Chunk]:
    """One chunk a line that is not blank."""
    chunks, start = [], 0
    for line in document.text.splitlines(keepends=True):
        text = line.strip()
        if text:
            end = start + len(text)
            ids = encode_bytes(document.title, text)
            chunks.append(Chunk(len(chunks), start, end, document.title, text, ids))
        start += len(line)
    return chunks


def encode_bytes(label: str, text: str) -> tuple[int, ...]:
    return tuple(text.encode())


class HashEmbedder:
    """The same text gets the same unit vector."""

    def __init__(self, identity: str = "hash-1", dimension: int = 8) -> None:
        self.identity = identity
        self.dimension = dimension
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Float32Array:
        self.texts += texts
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            digest = hashlib.sha256(f"{self.identity} {text}".encode()).digest()
            row[:] = np.frombuffer(digest[: self.dimension], np.uint8)
            row /= np.linalg.norm(row) or 1
        return rows


class DictIndexes:
    """Vectors by collection and chunk id; refuses the same id twice, as the real one must."""

    def __init__(self) -> None:
        self.vectors: dict[int, dict[int, Float32Array]] = {}

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        mine = self.vectors.setdefault(collection_id, {})
        for chunk_id, vector in zip(chunk_ids, vectors, strict=True):
            assert chunk_id not in mine
            mine[chunk_id] = vector

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> int:
        mine = self.vectors.get(collection_id, {})
        return sum(mine.pop(chunk_id, None) is not None for chunk_id in chunk_ids)

    def ids(self, collection_id: int) -> Ids:
        return np.array(sorted(self.vectors.get(collection_id, {})), np.int64)


class PassageStore:
    """A decoder that only remembers which passages it has, up to a budget."""

    name = "fake"
    identity = "fake"

    def __init__(self, budget: int = 1_000_000, stored: set[tuple[int, ...]] | None = None) -> None:
        self.budget = budget
        self.stored = set() if stored is None else stored
        self.batches: list[int] = []
        self.error: Exception | None = None

    def count(self, text: str) -> int:
        return len(text.encode())

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return encode_bytes(label, text)

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        passage_ids = [passage.token_ids for passage in passages]
        if self.error is not None:
            raise self.error
        self.batches.append(len(passage_ids))
        already = stored = left = num_tokens = 0
        for ids in passage_ids:
            if ids in self.stored:
                already += 1
            elif len(self.stored) < self.budget:
                self.stored.add(ids)
                stored += 1
                num_tokens += len(ids)
            else:
                left += 1
        return PrecomputeReport(stored, already, left, num_tokens, "disk_budget" if left else None)

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        gone = self.stored & set(token_ids)
        self.stored -= gone
        return PurgeReport(len(gone), sum(10 * len(ids) for ids in gone))
