"""Passages in the order of how likely they make the question."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from app.decoder import reranker
from app.decoder.reranker import DecoderReranker
from app.decoder.types import DecodeRequest

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Row:
    chunk_id: int
    token_ids: tuple[int, ...]


class Stored:
    async def passages(self, chunk_ids: Sequence[int]) -> list[Row]:
        return [Row(n, (n,) * n) for n in chunk_ids if n != 3]


class Listening:
    """As likely as the passage's number says; more than seven tokens do not fit."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        fits = tuple(p for p in request.passages if len(p.token_ids) <= 7)
        return DecodeRequest(fits, request.question)

    async def likelihoods(self, requests: Sequence[DecodeRequest]) -> list[float]:
        assert all(request.question == "which?" for request in requests)
        self.asked.append([request.passages[0].chunk_id for request in requests])
        return [-float(number) for number in self.asked[-1]]


async def test_scores_are_chances_and_what_is_gone_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reranker, "MAX_TOGETHER", 2)
    decoder = Listening()
    scores = await DecoderReranker(decoder, Stored()).scores("which?", [5, 1, 3, 9, 2])
    assert scores == pytest.approx({5: math.exp(-5), 1: math.exp(-1), 9: 0.0, 2: math.exp(-2)})
    assert decoder.asked == [[5, 1], [2]]
    assert await DecoderReranker(decoder, Stored()).scores("which?", []) == {}
