"""Reads one source at a time with the decoder: only its passages are in the prompt."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from app.db.chunks import Chunks
from app.db.rows import PassageRow
from app.decoder.types import (
    DecodeEvent,
    DecodeRequest,
    GenerationParams,
    Passage,
    TokenText,
)
from app.sources.short_answer import short_answer
from app.sources.types import SourceAnswer
from kvstore.types import ReuseOptions
from reliability.alignment import align
from retrieval.types import Query, ScoredChunk

DEPTH = 50  # candidates of a question over all sources; beyond them a source knows nothing of it
PASSAGES = 2  # of the source, best first
MAX_TOKENS = 32
LEAST_ALIGNMENT = 0.5  # an answer that its passage does not state is the model's own
SHORT = "Answer with a few words only."
DIGITS = re.compile(r"\d+")


class Decoder(Protocol):
    def trim_passages(self, request: DecodeRequest) -> DecodeRequest: ...

    def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]: ...


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """Passages of one question, by source; kept so that each source need not search again."""

    question: str
    collection_id: int
    passages: dict[int, list[PassageRow]]


class DecoderReader:
    """Implements `app.sources.protocols.SourceReader`."""

    def __init__(self, retriever: Retriever, chunks: Chunks, decoder: Decoder) -> None:
        self._retriever = retriever
        self._chunks = chunks
        self._decoder = decoder
        self._found: _Found | None = None

    async def answer(
        self, question: str, source_id: int, collection_id: int
    ) -> SourceAnswer | None:
        passages = (await self._search(question, collection_id)).get(source_id, [])[:PASSAGES]
        if not passages:
            return None
        text = short_answer(question, await self._read(question, passages))
        if text is None:
            return None
        scored = [(aligned(question, text, passage.text), passage) for passage in passages]
        score, stated = max(scored, key=lambda pair: pair[0])
        if not score:
            return None
        return SourceAnswer(text, score, stated.chunk_id, stated.document_id, stated.text)

    async def _search(self, question: str, collection_id: int) -> dict[int, list[PassageRow]]:
        found = self._found
        if found is None or (found.question, found.collection_id) != (question, collection_id):
            scored = await self._retriever.search(Query(question, collection_id, DEPTH))
            rows = await self._chunks.passages([item.chunk_id for item in scored])
            passages: dict[int, list[PassageRow]] = {}
            for row in rows:
                passages.setdefault(row.source_id, []).append(row)
            found = self._found = _Found(question, collection_id, passages)
        return found.passages

    async def _read(self, question: str, rows: Sequence[PassageRow]) -> str:
        request = self._decoder.trim_passages(
            DecodeRequest(
                passages=tuple(Passage(row.chunk_id, row.token_ids, row.primers) for row in rows),
                question=f"{question}\n{SHORT}",
                params=GenerationParams(max_tokens=MAX_TOKENS),
                reuse=ReuseOptions("auto"),
            )
        )
        if not request.passages:
            return ""
        async with aclosing(self._decoder.answer(request)) as events:
            return "".join([event.text async for event in events if isinstance(event, TokenText)])


def aligned(question: str, answer: str, passage: str) -> float:
    """How surely the passage says so; 0 where a figure of the answer is not in it."""
    if not set(DIGITS.findall(answer)) <= set(DIGITS.findall(passage)):
        return 0.0
    score = align(question, answer, passage).score
    return score if score >= LEAST_ALIGNMENT else 0.0
