"""From a model's sentence to the few words that answer: what agrees in them can be told apart.

Small models copy a sentence whatever they are asked for. Knows no model.
"""

import re

from app.sources.questions import BLANK
from reliability.matching import is_no_answer, normal_answer
from reliability.numbers import MONTHS
from retrieval.words import content_words

FEW_WORDS = 6  # an answer of so many words is left as it is
NOT_THERE = ("do not know", "dont know", "not mention", "no information", "not provide", "not say")
MONTH = "|".join(MONTHS)
FIGURE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?(?:{MONTH})\b"
    r"(?: \d{1,2}\b(?:st|nd|rd|th)?,?)?(?: \d{4})?"
    r"|\d{4}-\d{2}-\d{2}|\d+(?:[.,:]\d+)*(?: (?:thousand|million|billion|percent))?%?",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Z][\w'’-]*(?: (?:of |the |de |van |von )?[A-Z][\w'’-]*)*")
ASKS_FIGURE = re.compile(
    r"\b(?:when|how (?:many|much|old|long|far|tall|deep|high|large|big)|(?:what|which) "
    r"(?:year|date|day|time|percentage|number)|population)\b",
    re.IGNORECASE,
)
ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where|which|what)\b", re.IGNORECASE)


def short_answer(question: str, text: str) -> str | None:
    """The first line's answer; None where it has none, or speaks of something else."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0].removeprefix("Answer:").strip().rstrip(".") if lines else ""
    words = normal_answer(first)
    if is_no_answer(first) or any(phrase in words for phrase in NOT_THERE):
        return None
    if BLANK in question:
        return _filled(question, first)
    if len(first.split()) <= FEW_WORDS:
        return first
    if not _content(question) & _content(first):
        return None
    return _asked_for(question, first) or first


def _asked_for(question: str, sentence: str) -> str | None:
    """The first figure or name that the sentence adds to the question."""
    known = _content(question)
    kinds = [FIGURE] if ASKS_FIGURE.search(question) else []
    kinds += [NAME] if ASKS_NAME.search(question) and not kinds else []
    for kind in kinds:
        for match in kind.finditer(sentence):
            if _content(match[0]) - known:
                return match[0].strip(" ,")
    return None


def _content(text: str) -> set[str]:
    return {word.lower() for word in content_words(text)}


def _filled(question: str, text: str) -> str | None:
    """What stands in the blank; a short text is what was left out."""
    before, after = (part.split() for part in question.rsplit(BLANK, 1))
    left = r"\s+".join(re.escape(word) for word in before[-2:])
    right = r"\s*".join(re.escape(word.rstrip(".")) for word in after[:2])
    match = re.search(rf"{left}\s*(.+?)\s*(?:{right})" if right else rf"{left}\s*(.+)", text)
    if match is not None:
        return match[1].strip(" ,") or None
    return text if len(text.split()) <= FEW_WORDS else None
