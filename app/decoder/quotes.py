"""The resident decoder points at the words of a passage that state an answer, or says that none do.

Each passage is asked alone, directly behind the prefix, so its stored KV is reused exactly and a
question costs its own tokens. What it says is no verdict: `reliability.alignment.quoted` decides.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from app.decoder.types import DecodeRequest, GenerationParams, Passage, Voted, VoteEvent

MAX_TOGETHER = 8  # prompts of one forward
MAX_TOKENS = 40  # a sentence
MAX_ANSWER_LEN = 160
NONE = re.compile(r"^\W*(?:none|no|not (?:stated|mentioned)|unknown)\b", re.IGNORECASE)
LEAD = re.compile(r"^\W*(?:the )?quote(?: is)?\s*:?\s+", re.IGNORECASE)
ASK = (
    "{question}\nSomebody answers: {answer}\n"
    "Copy the sentence of the passage that says so, word for word. "
    "If no sentence says so, write: none."
)


class Voter(Protocol):
    """`DecoderService`."""

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest: ...

    def vote(self, requests: Sequence[DecodeRequest]) -> AsyncGenerator[VoteEvent, None]: ...


@dataclass(frozen=True, slots=True)
class OpenPair:
    """An answer to a question, and a passage of which it is not clear whether it says so."""

    question: str
    answer: str
    passage: Passage
    text: str  # of the passage


class DecoderQuotes:
    def __init__(self, decoder: Voter) -> None:
        self._decoder = decoder

    async def quotes(self, pairs: Sequence[OpenPair]) -> dict[int, str | None]:
        """By place of the pair: its quote as the decoder writes it, None where it knows none. A
        pair whose passage does not fit the context is left out. Raises `ServerBusy`."""
        requests = {place: _request(pair) for place, pair in enumerate(pairs)}
        fit = [p for p, one in requests.items() if self._decoder.trim_passages(one).passages]
        found: dict[int, str | None] = {}
        for first in range(0, len(fit), MAX_TOGETHER):
            places = fit[first : first + MAX_TOGETHER]
            events = self._decoder.vote([requests[place] for place in places])
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Voted):
                        found[places[event.place]] = read_quote(event.text)
        return found


def read_quote(text: str) -> str | None:
    """The first line without marks around it; None where it says that there is no quote."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    quote = LEAD.sub("", lines[0]).strip(' "“”') if lines else ""
    return None if not quote or NONE.match(quote) else quote


def ask_for_quote(question: str, answer: str) -> str:
    """What the decoder is asked. The answer may be hostile: one line of it, cut short."""
    return ASK.format(question=question, answer=" ".join(answer.split())[:MAX_ANSWER_LEN])


def _request(pair: OpenPair) -> DecodeRequest:
    return DecodeRequest(
        (Passage(pair.passage.chunk_id, pair.passage.token_ids),),
        ask_for_quote(pair.question, pair.answer),
        params=GenerationParams(max_tokens=MAX_TOKENS, stop=("\n",)),
    )
