"""Headings of a PDF by the size of their letters: the format itself has none that can be relied on.

Knows lines and sizes, not files.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retrieval.parsing.normalise import clean

if TYPE_CHECKING:
    import pypdfium2

# A heading's letters are this much larger than those of the text; footnotes, formulas and rounding
# stay below.
_LARGER = 1.15
_MAX_HEADING_CHARS = 150
_MAX_LEVELS = 6
_MARKS_AT_LINE_END = re.compile("[\ufffe\x02]\\s*")

Sizes = Mapping[str, float]


def line_sizes(text_page: "pypdfium2.PdfTextPage") -> dict[str, float]:
    """Each line of a page, as this parser writes it, to the size of its first letter in points."""
    sizes: dict[str, float] = {}
    start = 0
    text = text_page.get_text_range()
    # The text has one character for each of PDFium's, line ends included; where it has not, in the
    # rare scripts beyond 16 bits, a line's size is that of a neighbouring character.
    for line in re.split("(\r?\n)", text):
        visible = line.lstrip()
        shown = " ".join(clean(_MARKS_AT_LINE_END.sub("", line)).split())
        if shown:
            size = _size(text_page, start + len(line) - len(visible))
            sizes[shown] = max(size, sizes.get(shown, 0.0))
        start += len(line)
    return sizes


def heading_levels(pages: Sequence[Sizes]) -> list[dict[str, int]]:
    """For each page its lines that are headings, with their level; the largest letters are 1."""
    body = _body_size(pages)
    larger = sorted(
        {_rounded(size) for sizes in pages for size in sizes.values() if size >= _LARGER * body},
        reverse=True,
    )
    if not body or not larger:
        return [{} for _ in pages]
    level_of = {size: min(level, _MAX_LEVELS) for level, size in enumerate(larger, start=1)}
    return [
        {
            line: level_of[_rounded(size)]
            for line, size in sizes.items()
            if size >= _LARGER * body and _may_be_heading(line)
        }
        for sizes in pages
    ]


def _body_size(pages: Sequence[Sizes]) -> float:
    """The size that most characters have; 0 where there are none."""
    counts: Counter[float] = Counter()
    for sizes in pages:
        for line, size in sizes.items():
            counts[_rounded(size)] += len(line)
    return max(counts, key=lambda size: (counts[size], -size), default=0.0)


def _may_be_heading(line: str) -> bool:
    return len(line) <= _MAX_HEADING_CHARS and any(char.isalpha() for char in line)


def _rounded(size: float) -> float:
    return round(2 * size) / 2


def _size(text_page: "pypdfium2.PdfTextPage", index: int) -> float:
    """Font size times the scale of the text's matrix: some programs set all text at size 1."""
    from pypdfium2 import raw

    size = float(raw.FPDFText_GetFontSize(text_page.raw, index))
    matrix = raw.FS_MATRIX()
    if raw.FPDFText_GetMatrix(text_page.raw, index, ctypes.byref(matrix)):
        size *= math.hypot(matrix.c, matrix.d)
    return size if math.isfinite(size) else 0.0
