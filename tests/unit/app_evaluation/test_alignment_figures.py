"""`larder eval alignment`: what is counted, with a scripted decoder."""

from collections.abc import AsyncGenerator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.decoder.types import DecodeRequest, Voted, VoteEvent
from app.evaluation.alignment_ladder import BenchVoter, ladder_rows, read_cases
from app.evaluation.reliability_decoder import BenchReader

pytestmark = pytest.mark.anyio

ITEM = {
    "question": "Who rebuilt the mill?",
    "gold_answers": ["Anna Berg"],
    "wrong_answers": ["Otto Kurz"],
    "documents": [
        {"text": "Anna Berg rebuilt the mill.", "answer": "Anna Berg"},
        {"text": "A certain Berg put it up again.", "answer": "Anna Berg"},
        {"text": "The mill is a mill.", "answer": "Otto Kurz"},
        {"text": "Bread is made of flour.", "answer": "unknown"},
    ],
}
SAID = ["Anna Berg", "Anna Berg", "Anna Berg", "I don't know."]


class Voter:
    async def vote(self, requests: Sequence[DecodeRequest]) -> AsyncGenerator[VoteEvent, None]:
        for place, request in enumerate(requests):
            is_second = request.passages[0].chunk_id == 1
            yield Voted(place, "A certain Berg put it up again." if is_second else "No.", "stop", 1)

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        return request


def reader() -> BenchReader:
    texts: list[Any] = [document["text"] for document in cast(list[Any], ITEM["documents"])]
    return cast(
        BenchReader,
        SimpleNamespace(
            bench=SimpleNamespace(template=SimpleNamespace(encode_passage=lambda *_: (1,))),
            raw=lambda _, text: SAID[texts.index(text)],
        ),
    )


async def test_rows_count_each_rung_before_and_after() -> None:
    steps: list[int] = []
    cases = read_cases([ITEM], reader(), lambda: steps.append(1))
    assert [case.is_right for case in cases] == [True, True, False]
    assert steps == [1]
    rows = await ladder_rows(cases, cast(BenchVoter, Voter()), None, None)
    assert [tuple(row.values()) for row in rows] == [
        ("sure by wording", "exact", "states it", 1, 1, 0),
        ("open", "overlap", "does not", 2, 1, 1),
        ("judged", "quote", "states it", 1, 1, 0),
        ("judged", "quote", "does not", 1, 0, 1),
    ]
    few = await ladder_rows(cases, cast(BenchVoter, Voter()), None, 1)
    assert [row["pairs"] for row in few if row["stage"] == "judged"] == [1]
