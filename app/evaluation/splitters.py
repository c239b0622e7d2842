"""Two plain splitters to compare ours with: every n tokens, and recursively by separators.

Both know nothing of a document but its text, and neither overlaps its chunks.
"""

import re
from collections.abc import Sequence

from retrieval.protocols import PassageTokenizer

Span = tuple[int, int]

_WORDS = re.compile(r"\s*\S+")
# What the common recursive splitter tries, the coarsest first; then words.
_SEPARATORS = ("\n\n", "\n", ". ", "? ", "! ")


def fixed_spans(text: str, tokenizer: PassageTokenizer, size: int) -> list[Span]:
    """Runs of whole words with at most `size` tokens each, wherever that ends."""
    return _packed(text, tokenizer, size, [found.span() for found in _WORDS.finditer(text)])


def recursive_spans(text: str, tokenizer: PassageTokenizer, size: int) -> list[Span]:
    """Split at the coarsest separator, go on inside what is too large, and merge neighbours."""
    return _recursive(text, tokenizer, size, (0, len(text)), _SEPARATORS)


def _recursive(
    text: str, tokenizer: PassageTokenizer, size: int, span: Span, separators: Sequence[str]
) -> list[Span]:
    start, end = span
    if tokenizer.count(text[start:end]) <= size:
        return [span] if text[start:end].strip() else []
    if not separators:
        words = [
            (start + found.start(), start + found.end())
            for found in _WORDS.finditer(text[start:end])
        ]
        return _packed(text, tokenizer, size, words)
    spans: list[Span] = []
    small: list[Span] = []
    for part in _parts(text, span, separators[0]):
        if tokenizer.count(text[part[0] : part[1]]) <= size:
            small.append(part)
            continue
        spans += _packed(text, tokenizer, size, small)
        small = []
        spans += _recursive(text, tokenizer, size, part, separators[1:])
    return spans + _packed(text, tokenizer, size, small)


def _parts(text: str, span: Span, separator: str) -> list[Span]:
    start, end = span
    parts = []
    while (at := text.find(separator, start, end)) >= 0:
        parts.append((start, at + len(separator)))
        start = at + len(separator)
    return [*parts, (start, end)] if start < end else parts


def _packed(
    text: str, tokenizer: PassageTokenizer, size: int, pieces: Sequence[Span]
) -> list[Span]:
    """Neighbouring pieces joined while they have at most `size` tokens; blank ones are left out."""
    spans: list[Span] = []
    tokens = 0
    for start, end in pieces:
        cost = tokenizer.count(text[start:end])
        if spans and spans[-1][1] == start and tokens + cost <= size:
            spans[-1] = (spans[-1][0], end)
            tokens += cost
        else:
            spans.append((start, end))
            tokens = cost
    return [span for span in spans if text[span[0] : span[1]].strip()]
