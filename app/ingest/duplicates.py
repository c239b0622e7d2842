"""Near-duplicates at ingest: linked, never dropped. Levels are those of the evidence families.

L0: the same words. L1: nearly the same, by shingles of five words. MinHash proposes pairs, the
texts decide; whoever weighs evidence counts such a pair once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

import numpy as np

from app.db.rows import ChunkText, DuplicatePair
from reliability.families.exact import normal_text
from reliability.families.lexical import (
    MIN_CONTAINMENT,
    MIN_JACCARD,
    Shingles,
    containment,
    jaccard,
    shingles,
    signatures,
)

# 16 bands of 4 rows: of pairs with a Jaccard of 0.6 seven in eight share a band, at 0.8 all do.
BANDS = 16
ROWS = 4

# Boilerplate that stands in thousands of documents is linked to this many of them.
MAX_CANDIDATES = 32


class DuplicateStore(Protocol):
    async def texts(self, document_ids: Sequence[int]) -> list[ChunkText]: ...

    async def sharing(
        self, document_ids: Sequence[int], limit: int
    ) -> Mapping[int, Sequence[ChunkText]]: ...

    async def save(
        self, bands: dict[int, Sequence[bytes]], pairs: Sequence[DuplicatePair]
    ) -> None: ...


async def link_duplicates(store: DuplicateStore, document_ids: Sequence[int]) -> int:
    """Link chunks of documents with each other and with those that were there before; returns how
    many pairs.

    A second time changes nothing.
    """
    chunks = await store.texts(document_ids)
    banded = await asyncio.to_thread(_bands, [chunk.text for chunk in chunks])
    # All of them first: one commit, and they find each other.
    await store.save({chunk.id: bands for chunk, bands in zip(chunks, banded, strict=True)}, [])
    candidates = await store.sharing(document_ids, MAX_CANDIDATES)
    pairs: dict[tuple[int, int], DuplicatePair] = {}
    for chunk in chunks:
        others = candidates.get(chunk.id)
        for pair in await asyncio.to_thread(compare, chunk, others) if others else []:
            pairs[pair.chunk_id, pair.other_id] = pair
    if pairs:
        await store.save({}, list(pairs.values()))
    return len(pairs)


def compare(chunk: ChunkText, others: Sequence[ChunkText]) -> list[DuplicatePair]:
    """Pairs at L0 or L1, the later chunk first."""
    words, mine = normal_text(chunk.text), shingles(chunk.text)
    pairs = []
    for other in others:
        first, second = max(chunk.id, other.id), min(chunk.id, other.id)
        if normal_text(other.text) == words:
            pairs.append(DuplicatePair(first, second, "L0", 1.0))
            continue
        similarity = _similarity(mine, shingles(other.text))
        if similarity is not None:
            pairs.append(DuplicatePair(first, second, "L1", similarity))
    return pairs


def _similarity(one: Shingles, other: Shingles) -> float | None:
    alike, held = jaccard(one, other), containment(one, other)
    return max(alike, held) if alike >= MIN_JACCARD or held >= MIN_CONTAINMENT else None


def _bands(texts: Sequence[str]) -> list[list[bytes]]:
    """16 digests of 8 bytes a text; none for a text without words."""
    sets = [shingles(text) for text in texts]
    used = [found for found in sets if found]
    rows = iter(signatures(used)[:, : BANDS * ROWS].reshape(len(used), BANDS, ROWS))
    return [_digests(next(rows)) if found else [] for found in sets]


def _digests(signature: np.ndarray[tuple[int, ...], np.dtype[np.uint64]]) -> list[bytes]:
    return [
        blake2b(bytes([number]) + band.astype("<u8").tobytes(), digest_size=8).digest()
        for number, band in enumerate(signature)
    ]
