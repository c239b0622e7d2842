"""Where the sentences of a text are. Pure: text in, character spans out; knows no language model.

Rules, not a trained splitter: a wrong split costs one narrower highlight, never a wrong text.
"""

import re
from typing import NamedTuple

# A full stop ends a sentence only before a space and something that can open one, so that
# "3.5 km" and "e.g. this" stay whole. CJK stops need no space behind them.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*(?=\s+[\"'“‘(\[]*[^\Wa-z_])|(?<=[。！？])|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|Fig|Sec|vs|cf|approx|e\.g|i\.e|etc|a\.m|p\.m)\.$"
)
_MARKER = re.compile(r"\s*(?:[-*•–#>|]|\d{1,3}[.)]\s)")
_BULLET = re.compile(r"\s*(?:[-*•–#>|]+\s+|\d{1,3}[.)]\s+)*\s*")
WRAPPED_LINE_LEN = 50


class Span(NamedTuple):
    start: int
    end: int


def sentence_spans(text: str) -> list[Span]:
    """Sentences in order, without list markers and surrounding space; they never overlap."""
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() <= start or not _ends_sentence(text, start, match):
            continue
        _add_trimmed(spans, text, start, match.end())
        start = match.end()
    _add_trimmed(spans, text, start, len(text))
    return spans


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    if match.group().count("\n") == 1:
        return not _is_soft_wrap(text, match)
    if "\n" in match.group():
        return True
    return _ABBREVIATION.search(text[max(start, match.start() - 10) : match.start()]) is None


def _is_soft_wrap(text: str, match: re.Match[str]) -> bool:
    """A long line followed by plain text goes on there: it was broken for a narrow screen."""
    line_start = text.rfind("\n", 0, match.start()) + 1
    is_long = match.start() - line_start >= WRAPPED_LINE_LEN
    return is_long and _MARKER.match(text, match.end()) is None


def _add_trimmed(spans: list[Span], text: str, start: int, end: int) -> None:
    """Append the stretch unless it is only a list marker or blank."""
    marker = _BULLET.match(text, start, end)
    start = marker.end() if marker else start
    end = start + len(text[start:end].rstrip())
    if any(character.isalnum() for character in text[start:end]):
        spans.append(Span(start, end))
