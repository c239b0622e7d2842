"""The decoder as reader of one source: what counts as said by its passages."""

from collections.abc import AsyncGenerator, Sequence
from typing import cast

import pytest

from app.db.chunks import Chunks
from app.db.rows import PassageRow
from app.decoder.quotes import OpenPair
from app.decoder.types import DecodeEvent, DecodeRequest, TokenText
from app.sources.reader import DecoderReader
from reliability.alignment import Alignment
from retrieval.types import Query, ScoredChunk

pytestmark = pytest.mark.anyio

QUESTION = "Who rebuilt the mill?"


class Shelf:
    """Finds all of its passages for any question."""

    def __init__(self, *texts: str) -> None:
        self.rows = [
            PassageRow(*(n, n, 1, 7, "s", 0.5, "", "", text, 0, len(text), None), token_ids=(n,))
            for n, text in enumerate(texts)
        ]

    async def search(self, query: Query) -> list[ScoredChunk]:
        return [ScoredChunk(row.chunk_id, 1.0) for row in self.rows]

    async def passages(self, chunk_ids: list[int]) -> list[PassageRow]:
        return self.rows


class Says:
    def __init__(self, text: str) -> None:
        self.text = text

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        return request

    async def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        yield TokenText(self.text)


class Judge:
    def __init__(self, *found: Alignment) -> None:
        self.found = found
        self.asked: list[OpenPair] = []

    async def judge(self, pairs: Sequence[OpenPair]) -> list[Alignment]:
        self.asked += pairs
        return list(self.found)


def reader(shelf: Shelf, said: str, judge: Judge | None = None) -> DecoderReader:
    return DecoderReader(shelf, cast(Chunks, shelf), Says(said), judge)


async def test_sure_wording_asks_no_judge() -> None:
    shelf = Shelf("Nothing of it is here.", "Anna Berg rebuilt the mill.")
    judge = Judge()
    said = await reader(shelf, "Anna Berg", judge).answer(QUESTION, 7, 1)
    assert said is not None
    assert (said.text, said.alignment, said.chunk_id) == ("Anna Berg", 1.0, 1)
    assert judge.asked == []


async def test_open_wording_is_judged_passage_by_passage() -> None:
    shelf = Shelf("It burned in 1801.", "Berg put it up again.")
    judge = Judge(Alignment(0.0, "quote"), Alignment(0.8, "quote"))
    said = await reader(shelf, "Anna Berg", judge).answer(QUESTION, 7, 1)
    assert said is not None
    assert (said.alignment, said.chunk_id) == (0.8, 1)
    assert [(pair.answer, pair.passage.chunk_id) for pair in judge.asked] == [
        ("Anna Berg", 0),
        ("Anna Berg", 1),
    ]


async def test_what_neither_wording_nor_judge_finds_is_silence() -> None:
    shelf = Shelf("It burned in 1801.")
    judge = Judge(Alignment(0.0, "entailment"))
    assert await reader(shelf, "Anna Berg", judge).answer(QUESTION, 7, 1) is None
    assert await reader(shelf, "Anna Berg").answer(QUESTION, 7, 1) is None
    assert len(judge.asked) == 1


async def test_a_figure_that_no_passage_has_is_silence_and_asks_nobody() -> None:
    judge = Judge()
    found = reader(Shelf("It burned in 1801."), "in 1810", judge)
    assert await found.answer("When did the mill burn?", 7, 1) is None
    assert judge.asked == []


async def test_a_figure_counts_in_any_spelling() -> None:
    found = await reader(Shelf("It has 3,559 people."), "3559").answer("How many people?", 7, 1)
    assert found is not None
    assert found.alignment == 1.0
