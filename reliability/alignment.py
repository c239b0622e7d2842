"""How surely a passage says an answer, without a model: the first two rungs of the ladder.

The third (a decoder quotes the span, refused where the quote is not in the passage) and the fourth
(an entailment model) come from the caller as a `SpanJudge`. The rung that judged is recorded.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal, Protocol

from reliability.matching import ARTICLES, normal_answer
from reliability.numbers import NUMBER, parse_quantity, same_quantity

Rung = Literal["exact", "overlap", "judge"]

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
NAME = re.compile(r"\b[A-Z][\w'-]+")
SURE_OVERLAP = 0.8
LEAST_OVERLAP = 0.5
AMOUNT_WORDS = 3  # a longer answer says more than its number
INSTRUCTION = re.compile(
    r"[^.!?\n]*\b(?:ignore|disregard|forget)\b[^.!?\n]*"
    r"\b(?:instructions?|prompts?|above|previous)\b[^.!?\n]*[.!?]?",
    re.IGNORECASE,
)


class SpanJudge(Protocol):
    """A span of `passage` that states `answer` to `question`, or None. It must be a quote."""

    def __call__(self, question: str, answer: str, passage: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Alignment:
    score: float  # in [0, 1]
    rung: Rung


def without_instructions(passage: str) -> str:
    """The passage less the sentences that talk to the reader instead of stating something."""
    return INSTRUCTION.sub(" ", passage)


def align(question: str, answer: str, passage: str, judge: SpanJudge | None = None) -> Alignment:
    """How surely `passage` says `answer`, by the cheapest rung that knows."""
    passage = without_instructions(passage)
    if _states(answer, passage):
        return Alignment(1.0, "exact")
    overlap = _overlap(answer, passage)
    if overlap >= SURE_OVERLAP or judge is None:
        return Alignment(overlap if overlap >= LEAST_OVERLAP else 0.0, "overlap")
    quote = judge(question, answer, passage)
    is_quote = quote is not None and normal_answer(quote) in normal_answer(passage)
    return Alignment(1.0 if quote and is_quote else 0.0, "judge")


def _states(answer: str, passage: str) -> bool:
    """The answer's words in a row, or its number in any spelling."""
    words = normal_answer(answer)
    if words and f" {words} " in f" {normal_answer(passage)} ":
        return True
    wanted = parse_quantity(answer)
    if wanted is None or len(words.split()) > AMOUNT_WORDS:
        return False
    found = (parse_quantity(passage[m.start() : m.end() + 16]) for m in NUMBER.finditer(passage))
    return any(q is not None and same_quantity(wanted, q, tolerance=0.0) for q in found)


def _overlap(answer: str, passage: str) -> float:
    """Share of the answer's words in the best window of its length, if its names are there."""
    words = normal_answer(answer).split()
    names = {normal_answer(name) for name in NAME.findall(answer)} - ARTICLES
    best = 0.0
    for sentence in SENTENCE_END.split(passage):
        tokens = normal_answer(sentence).split()
        if not names <= set(tokens):
            continue
        for start in range(max(1, len(tokens) - len(words) + 1)):
            common = Counter(tokens[start : start + len(words)]) & Counter(words)
            best = max(best, common.total() / max(1, len(words)))
    return best
