"""Reads one source at a time with the decoder: only its passages are in the prompt."""

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
from app.sources.types import SourceAnswer
from kvstore.types import ReuseOptions
from reliability.alignment import align
from reliability.matching import is_no_answer, normal_answer
from retrieval.types import Query, ScoredChunk

DEPTH = 50  # candidates of a question over all sources; beyond them a source knows nothing of it
PASSAGES = 2  # of the source, best first
MAX_TOKENS = 32
LEAST_ALIGNMENT = 0.5  # an answer that its passage does not state is the model's own
SHORT = "Answer with a few words only."
NOT_THERE = ("do not know", "dont know", "not mention", "no information", "not provide", "not say")


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
        text = tidy(await self._read(question, passages))
        if text is None:
            return None
        scored = [(align(question, text, passage.text).score, passage) for passage in passages]
        score, stated = max(scored, key=lambda pair: pair[0])
        if score < LEAST_ALIGNMENT:
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


def tidy(text: str) -> str | None:
    """The answer's first line without a closing full stop; None where it says that it has none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0].removeprefix("Answer:").strip().rstrip(".") if lines else ""
    words = normal_answer(first)
    if is_no_answer(first) or any(phrase in words for phrase in NOT_THERE):
        return None
    return first
