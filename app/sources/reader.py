"""Reads one source at a time with the decoder: only its passages are in the prompt."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from app.db.chunks import Chunks
from app.db.rows import PassageRow
from app.decoder.quotes import OpenPair
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
from reliability.alignment import Alignment, align
from retrieval.types import Query, ScoredChunk

DEPTH = 50  # candidates of a question over all sources; beyond them a source knows nothing of it
PASSAGES = 2  # of the source, best first
MAX_TOKENS = 32
SHORT = "Answer with a few words only."


class Decoder(Protocol):
    def trim_passages(self, request: DecodeRequest) -> DecodeRequest: ...

    def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]: ...


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]: ...


class Judge(Protocol):
    """`app.decoder.alignment.AlignmentJudge`."""

    async def judge(self, pairs: Sequence[OpenPair]) -> list[Alignment]: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """Passages of one question, by source; kept so that each source need not search again."""

    question: str
    collection_id: int
    passages: dict[int, list[PassageRow]]


class DecoderReader:
    """Implements `app.sources.protocols.SourceReader`."""

    def __init__(
        self,
        retriever: Retriever,
        chunks: Chunks,
        decoder: Decoder,
        judge: Judge | None = None,
    ) -> None:
        self._retriever = retriever
        self._chunks = chunks
        self._decoder = decoder
        self._judge = judge
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
        alignments = await self._align(question, text, passages)
        pairs = zip(alignments, passages, strict=True)
        best, stated = max(pairs, key=lambda pair: pair[0].score)
        if not best.score:
            return None  # an answer that no passage states is the model's own
        return SourceAnswer(text, best.score, stated.chunk_id, stated.document_id, stated.text)

    async def _align(
        self, question: str, answer: str, rows: Sequence[PassageRow]
    ) -> list[Alignment]:
        """How surely each passage says so. A model is asked only where no wording is sure."""
        found = [align(answer, row.text) for row in rows]
        left = [place for place, one in enumerate(found) if one.is_open]
        if self._judge is None or not left or any(a.score and not a.is_open for a in found):
            return found
        pairs = [_open_pair(question, answer, rows[place]) for place in left]
        for place, judged in zip(left, await self._judge.judge(pairs), strict=True):
            found[place] = judged
        return found

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


def _open_pair(question: str, answer: str, row: PassageRow) -> OpenPair:
    passage = Passage(row.chunk_id, row.token_ids, row.primers)
    return OpenPair(question, answer, passage, row.text)
