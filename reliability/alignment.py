"""How surely a passage says an answer, rung by rung of a ladder; the rung that judged is recorded.

The first two, wording and figures, need no model. What they leave open goes to the caller's models:
`quoted` judges a decoder's quote (the third rung), `entailed` an entailment model's chance (the
fourth). No model's word counts by itself: a quote must stand in the passage.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from reliability.matching import ARTICLES, is_no_answer, normal_answer
from reliability.numbers import NUMBER, parse_quantity, same_quantity

Rung = Literal["exact", "overlap", "quote", "entailment"]

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
NAME = re.compile(r"\b[A-Z][\w'-]+")
FIGURE = re.compile(r"\d+")
POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")  # "Coltrane's album" names Coltrane
SURE_OVERLAP = 0.8
LEAST_OVERLAP = 0.5
QUOTED = 0.8  # as sure as the least sure wording that needs no model
LEAST_CHANCE = 0.5  # of an entailment model
LONG = 4  # letters of a word that tells something; most shorter ones are "of" and "was"
AMOUNT_WORDS = 3  # a longer answer says more than its number
INSTRUCTION = re.compile(
    r"[^.!?\n]*\b(?:ignore|disregard|forget)\b[^.!?\n]*"
    r"\b(?:instructions?|prompts?|above|previous)\b[^.!?\n]*[.!?]?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Alignment:
    score: float  # in [0, 1]
    rung: Rung
    is_open: bool = False  # wording and figures do not decide it; `score` is what they say so far


def without_instructions(passage: str) -> str:
    """The passage less the sentences that talk to the reader instead of stating something."""
    return INSTRUCTION.sub(" ", passage)


def align(answer: str, passage: str) -> Alignment:
    """How surely `passage` says `answer`, by wording and figures.

    A figure that the passage does not have is decided: it does not say so.
    """
    answer, passage = POSSESSIVE.sub("", answer), POSSESSIVE.sub("", without_instructions(passage))
    if _states(answer, passage):
        return Alignment(1.0, "exact")
    if is_no_answer(answer) or not _figures(answer) <= _figures(passage):
        return Alignment(0.0, "exact")
    overlap = _overlap(answer, passage)
    if overlap >= SURE_OVERLAP:
        return Alignment(overlap, "overlap")
    return Alignment(overlap if overlap >= LEAST_OVERLAP else 0.0, "overlap", is_open=True)


def quoted(question: str, answer: str, passage: str, quote: str | None) -> Alignment:
    """What a model's quote for the answer comes to; None: it found no place that says so.

    It counts where the passage has these words in a row, orders to the reader aside, and they have
    the answer's figures and at least one of its words that the question has not. Anything else is
    an invention, or a place that a passage's order made the model point at: 0.
    """
    words = normal_answer(quote or "")
    stands = bool(words) and f" {words} " in f" {normal_answer(without_instructions(passage))} "
    shared = _telling(answer) & set(words.split()) - set(normal_answer(question).split())
    counts = stands and bool(shared) and _figures(answer) <= _figures(words)
    return Alignment(QUOTED if counts else 0.0, "quote")


def entailed(chance: float) -> Alignment:
    """What an entailment model's chance (passage, answer) comes to; below a half it is a no.

    Raises ValueError for what is no chance.
    """
    if not 0 <= chance <= 1:
        raise ValueError(f"{chance} is not a chance")
    return Alignment(chance if chance >= LEAST_CHANCE else 0.0, "entailment")


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


def _figures(text: str) -> set[str]:
    return set(FIGURE.findall(normal_answer(text)))


def _telling(text: str) -> set[str]:
    return {word for word in normal_answer(text).split() if len(word) >= LONG or word.isdigit()}


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
