"""Pairs of an answer and a passage that wording and figures leave open: up the rest of the ladder.

The decoder is asked for a quote; where it has none that counts, an entailment model decides, if
there is one. Either may be absent. What no rung looked at stays as the wording has it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from app.decoder.quotes import DecoderQuotes, OpenPair, Voter
from app.settings import Settings
from reliability.alignment import Alignment, align, entailed, quoted
from retrieval.entailment import EntailmentModel


class Quotes(Protocol):
    """`app.decoder.quotes.DecoderQuotes`."""

    async def quotes(self, pairs: Sequence[OpenPair]) -> dict[int, str | None]: ...


class Entailment(Protocol):
    """`retrieval.entailment.EntailmentModel`."""

    async def chances(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How likely each premise entails its hypothesis, 0 to 1."""
        ...


class AlignmentJudge:
    def __init__(self, quotes: Quotes | None, entailment: Entailment | None) -> None:
        self._quotes = quotes
        self._entailment = entailment

    async def judge(self, pairs: Sequence[OpenPair]) -> list[Alignment]:
        """One alignment for each pair, in order. Raises `ServerBusy`."""
        found = [align(pair.answer, pair.text) for pair in pairs]
        if self._quotes is not None and pairs:
            for place, quote in (await self._quotes.quotes(pairs)).items():
                pair = pairs[place]
                found[place] = quoted(pair.question, pair.answer, pair.text, quote)
        left = [place for place, one in enumerate(found) if one.is_open or not one.score]
        if self._entailment is not None and left:
            chances = await self._entailment.chances([_texts(pairs[place]) for place in left])
            for place, chance in zip(left, chances, strict=True):
                found[place] = entailed(chance)
        return [replace(one, is_open=False) for one in found]


def load_judge(decoder: Voter, settings: Settings) -> AlignmentJudge | None:
    """None where neither is wanted. Raises `EntailmentMissing`."""
    quotes = DecoderQuotes(decoder) if settings.alignment_quotes else None
    folder = settings.alignment_model
    entailment = None if folder is None else EntailmentModel(folder)
    return AlignmentJudge(quotes, entailment) if quotes or entailment else None


def _texts(pair: OpenPair) -> tuple[str, str]:
    """Premise and hypothesis."""
    return pair.text, f"{pair.question} {pair.answer}"
