"""Blocks to atoms: the smallest runs of text a chunk is made of, each within a token budget.

Sentences of paragraphs, items of lists; tables and code whole where they fit, by line where not.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32

from retrieval.packing import Strength
from retrieval.protocols import PassageTokenizer
from retrieval.types import Block

# A full stop ends a sentence before white space, an ideographic one anywhere. The look-behind keeps
# a long row of dots from being tried once for each dot.
_SENTENCE_END = re.compile(
    r"(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=\s)|(?<![。！？])[。！？]+[」』”’）]*"
)
_ABBREVIATIONS = frozenset(
    {
        *("al", "approx", "ca", "cf", "co", "corp", "dept", "dr", "e.g", "ed", "eq", "etc", "fig"),
        *("gen", "gov", "i.e", "inc", "jr", "ltd", "mr", "mrs", "ms", "mt", "no", "nos", "p", "pp"),
        *("prof", "rev", "sec", "sr", "st", "vol", "vs", "bzw", "ggf", "nr", "usw", "z.b"),
    }
)
_LONGEST_ABBREVIATION = 12

# English has some four characters a token, so a window of two leaves room for denser text.
_CHARS_A_TOKEN = 2

_Span = tuple[int, int, int, Strength]  # start, end, tokens, strength of the end
_Split = Callable[[int, int, int], Iterator[_Span]]


@dataclass(frozen=True, slots=True)
class Atom:
    """`text[start:end]`; `path` holds the headings it stands under. A `packing.Piece`."""

    start: int
    end: int
    tokens: int  # with the white space before it
    strength: Strength
    checksum: int
    path: tuple[str, ...]
    page: int | None
    is_row: bool = False  # of a table that was cut: its path ends with the names of the columns


class AtomSplitter:
    def __init__(self, text: str, tokenizer: PassageTokenizer) -> None:
        self._text = text
        self._tokenizer = tokenizer

    def atoms(self, block: Block, path: tuple[str, ...], budget: int) -> Iterator[Atom]:
        """All visible text of `block` in order, no atom above `budget` tokens.

        Rows of a table that is cut stand under its first row, as under a heading: what they say
        is in its names.
        """
        whole = path
        for start, end, tokens, strength in self._spans(block, budget):
            is_row = block.kind == "table" and "\n" in self._text[block.start : start].lstrip()
            path = (*whole, self._header(block)) if is_row else whole
            if end == block.end or not self._text[end : block.end].strip():
                strength = self._strength_of_end(block, end)
            checksum = crc32(self._text[start:end].encode())
            yield Atom(start, end, tokens, strength, checksum, path, block.page, is_row)

    def _header(self, block: Block) -> str:
        """The cells of a table's first row; as markdown writes them, or by whatever it has."""
        line = self._text[block.start : block.end].lstrip().partition("\n")[0]
        return ", ".join(cell.strip() for cell in line.strip("| ").split("|") if cell.strip())

    def _strength_of_end(self, block: Block, end: int) -> Strength:
        announces = block.kind == "heading" or self._text[end - 1] == ":"
        return Strength.INSIDE if announces else Strength.BLOCK

    def _spans(self, block: Block, budget: int) -> Iterator[_Span]:
        for start, end in self._natural_spans(block):
            yield from self._within(start, end, budget, self._pieces)

    def _natural_spans(self, block: Block) -> Iterator[tuple[int, int]]:
        if block.kind == "paragraph":
            ends = self._sentence_ends(block)
        elif block.kind == "list":
            ends = self._line_ends(block.start, block.end)
        else:
            ends = iter([block.end])
        yield from self._trimmed(block.start, ends)

    def _trimmed(self, start: int, ends: Iterator[int]) -> Iterator[tuple[int, int]]:
        for end in ends:
            part = self._text[start:end]
            visible = part.strip()
            if visible:
                first = start + len(part) - len(part.lstrip())
                yield first, first + len(visible)
            start = end

    def _line_ends(self, start: int, end: int) -> Iterator[int]:
        while (newline := self._text.find("\n", start, end)) >= 0:
            yield newline
            start = newline + 1
        yield end

    def _sentence_ends(self, block: Block) -> Iterator[int]:
        for found in _SENTENCE_END.finditer(self._text, block.start, block.end):
            if not self._is_abbreviation(found, block.start):
                yield found.end()
        yield block.end

    def _is_abbreviation(self, found: re.Match[str], start: int) -> bool:
        if found.group() != ".":
            return False
        before = self._text[max(start, found.start() - _LONGEST_ABBREVIATION) : found.start()]
        word = before.split()[-1].lstrip("(\"'“‘[") if before.strip() else ""
        is_initial = len(word) == 1 and word.isupper()
        return is_initial or word.lower() in _ABBREVIATIONS

    def _count(self, start: int, end: int) -> int:
        """Tokens of a run with up to two characters of the white space before it."""
        first = start
        while first > max(start - 2, 0) and self._text[first - 1].isspace():
            first -= 1
        return self._tokenizer.count(self._text[first:end])

    def _within(self, start: int, end: int, budget: int, split: _Split) -> Iterator[_Span]:
        # No tokenizer spends a token on 20 characters for long; this spares counting megabytes.
        if end - start <= 20 * budget and (tokens := self._count(start, end)) <= budget:
            yield start, end, tokens, Strength.LINE
        else:
            yield from split(start, end, budget)

    def _pieces(self, start: int, end: int, budget: int) -> Iterator[_Span]:
        """An over-long run by lines, an over-long line by words."""
        for first, last in self._trimmed(start, self._line_ends(start, end)):
            yield from self._within(first, last, budget, self._windows)

    def _windows(self, start: int, end: int, budget: int) -> Iterator[_Span]:
        """An over-long line in windows that end between words where there is white space."""
        while start < end:
            width = _CHARS_A_TOKEN * budget
            cut = self._cut(start, end, width)
            while (tokens := self._count(start, cut)) > budget and width > 1:
                width //= 2
                cut = self._cut(start, end, width)
            for first, last in self._trimmed(start, iter([cut])):
                yield first, last, tokens, Strength.LINE if cut == end else Strength.INSIDE
            start = cut

    def _cut(self, start: int, end: int, width: int) -> int:
        if end - start <= width:
            return end
        places = range(start + width, start, -1)
        return next((at for at in places if self._text[at].isspace()), start + width)
