"""What a source's words come to: the few that answer, without those that repeat the question.

Pure rules; they decide which answers are compared, so each is narrow.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.answer.asked_kinds import is_of_kind
from app.answer.citations import says_nothing
from app.answer.sentences import sentence_spans
from reliability.cores import core_of
from reliability.matching import Relation, is_no_answer, normal_answer

INSTRUCTION = "Answer in a few words. If the passage does not say it, answer: I don't know."
MAX_LEN = 160

_LEAD = re.compile(r"^\W*(?:the )?answer(?: is)?\s*:?\s+", re.IGNORECASE)
_SEVERAL = re.compile(r"^\s*(?:list|name)\b|\b(?:who|what|which) (?:are|were)\b|\ball\b", re.I)
_QUALIFIED = re.compile(r"^(?P<name>.+?)(?:,\s+|\s+\()(?P<sense>[^(),]+)\)?$")


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """`said`: a sentence; `core`: its answering words, which is what is compared."""

    said: str
    core: str


def read_answer(text: str, question: str) -> ShortAnswer | None:
    """The first sentence of what a source said; None where it says that it does not know, or names
    no time or amount though that was asked."""
    text = _LEAD.sub("", text.strip())
    spans = sentence_spans(text)
    if not spans:
        return None
    said = text[spans[0].start : spans[0].end][:MAX_LEN].strip()
    if is_no_answer(said.strip(" .")) or says_nothing(said):
        return None
    return ShortAnswer(said, core_of(said, question)) if is_of_kind(said, question) else None


def judge(question: str, one: str, other: str) -> Relation:  # noqa: ARG001
    """An answer that holds all words of the other says the same: "Paris", "Paris in France"."""
    a, b = set(normal_answer(one).split()), set(normal_answer(other).split())
    return "same" if a and b and (a <= b or b <= a) else "unsure"


def asks_for_several(question: str) -> bool:
    return _SEVERAL.search(question) is not None


def senses(question: str, titles: Sequence[str]) -> list[str]:
    """The thing each title is about where several share the name that was asked about.

    "Broken Bow, Oklahoma" and "Broken Bow (Nebraska)" are two senses of "Broken Bow"; a title
    without such a qualifier, and any where only one is meant, has the sense "".
    """
    asked = f" {normal_answer(question)} "
    found = []
    for title in titles:
        match = _QUALIFIED.match(title.strip())
        name = normal_answer(match["name"]) if match else ""
        sense = normal_answer(match["sense"]) if match else ""
        is_meant = bool(name) and f" {name} " in asked and f" {sense} " not in asked
        found.append(title.strip() if is_meant else "")
    return found if len(set(found) - {""}) > 1 else [""] * len(titles)
