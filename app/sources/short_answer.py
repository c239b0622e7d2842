"""From a model's sentence to the few words that answer: what agrees in them can be told apart.

Small models copy a sentence whatever they are asked for. Knows no model.
"""

import re

from app.sources.questions import BLANK
from reliability.cores import core_of, without_lead
from reliability.matching import NUMBER_WORDS, is_no_answer, normal_answer
from reliability.numbers import MONTHS
from retrieval.words import content_words

MOST_WORDS = 12  # more, copied from the passage, would be held against its source
FEW_WORDS = 6  # an answer of so many words is left as it is
NOT_THERE = ("do not know", "dont know", "not mention", "no information", "not provide", "not say")
MONTH = "|".join(MONTHS)
FIGURE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?(?:{MONTH})\b"
    r"(?: \d{1,2}\b(?:st|nd|rd|th)?,?)?(?: \d{4})?"
    rf"|\b(?:{'|'.join(NUMBER_WORDS)})\b"
    r"|\d{4}-\d{2}-\d{2}|\d+(?:[.,:]\d+)*(?: (?:thousand|million|billion|percent))?%?",
    re.IGNORECASE,
)
LEAD = re.compile(r"^\W*(?:the )?answer(?: is)?\s*:?\s+", re.IGNORECASE)
NAME = re.compile(r"[A-Z][\w'’-]*(?: (?:of |the |de |van |von )?[A-Z][\w'’-]*)*")
# "Miami, Florida" is one name; what follows "but" or "which" is about something else.
PLACE = re.compile(
    rf"\b(?:in|at|near|from) (?:the (?:city|town|village|state) of )?"
    rf"(?P<place>{NAME.pattern}(?:, {NAME.pattern})*)"
)
CLAUSE = re.compile(r",? \b(?:but|which|who|whose|where|while|and (?:it|he|she|the|they))\b|;| \(")
ASKS_PLACE = re.compile(
    r"^\s*where\b|\b(?:what|which) (?:city|town|country|state)\b", re.IGNORECASE
)
ASKS_FIGURE = re.compile(
    r"\b(?:when|how (?:many|much|old|long|far|tall|deep|high|large|big)|(?:what|which) "
    r"(?:year|date|day|time|percentage|number)|population)\b",
    re.IGNORECASE,
)
ASKS_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where|which|what)\b", re.IGNORECASE)


def short_answer(question: str, text: str) -> str | None:
    """The first line's answer; None where it has none, or speaks of something else."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = LEAD.sub("", lines[0]).strip(' "“”').rstrip(".") if lines else ""
    words = normal_answer(first)
    if is_no_answer(first) or any(phrase in words for phrase in NOT_THERE):
        return None
    if BLANK in question:
        return _filled(question, first)
    if ASKS_NAME.search(question) and not _says_more(question, first):
        return None
    if len(first.split()) <= FEW_WORDS:
        return without_lead(first, question)
    core = CLAUSE.split(core_of(first, question))[0].strip(" ,")
    if not _content(question) & _content(first):
        return None
    if not (ASKS_FIGURE.search(question) or ASKS_NAME.search(question)):
        return first  # yes or no, or why: the sentence is the answer
    found = _asked_for(question, first, core) or core
    return found if found and len(found.split()) <= MOST_WORDS else None


def _says_more(question: str, sentence: str) -> bool:
    """Whether it has a word that the question has not; of a choice it need not."""
    return " or " in question or bool(_content(sentence) - _content(question))


def _asked_for(question: str, sentence: str, core: str) -> str | None:
    """The first figure, place or name that the sentence adds to the question; no name where what
    the question does not have is short enough as it stands."""
    if ASKS_FIGURE.search(question):
        return _first_new(FIGURE, question, sentence)
    if ASKS_PLACE.search(question):
        place = _first_new(PLACE, question, sentence)
        if place is not None:
            return place
    if ASKS_PERSON.search(question) or len(core.split()) > FEW_WORDS:
        return _first_new(NAME, question, sentence)
    return None


def _first_new(kind: re.Pattern[str], question: str, sentence: str) -> str | None:
    known = _content(question)
    for match in kind.finditer(sentence):
        found = match[match.lastgroup or 0].strip(" ,")
        if _content(found) - known:
            return found
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
