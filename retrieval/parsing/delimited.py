"""CSV and its kin: each row a block with the labels of its columns. Knows no spreadsheets."""

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO

from retrieval.errors import ParseError
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.normalise import clean_document, decode
from retrieval.parsing.rows import add_rows
from retrieval.types import Document

_DELIMITERS = ",;\t|"
_PROBED_ROWS = 50
_MIN_REGULAR_SHARE = 0.8  # of the rows have the same number of cells; exports add odd lines


class DelimitedParser:
    def parse(self, data: bytes, name: str) -> Document:
        text = clean_document(decode(data, name), name)
        builder = DocumentBuilder(name)
        add_rows(builder, _rows(text, delimiter_of(text) or ",", name))
        return builder.build("", "text/csv")


def delimiter_of(text: str) -> str | None:
    """What stands between the cells; None where the text has no rows of two cells or more."""
    best: tuple[int, str] | None = None
    for delimiter in _DELIMITERS:
        widths = _widths(text, delimiter)
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        if width > 1 and count >= max(2, _MIN_REGULAR_SHARE * len(widths)):
            best = max(best or (0, ""), (width, delimiter))
    return None if best is None else best[1]


def _widths(text: str, delimiter: str) -> list[int]:
    """Cells of each of the first rows. The last may be cut off by the end of a sample."""
    widths: list[int] = []
    try:
        for row in csv.reader(StringIO(text, newline=""), delimiter=delimiter):
            if row:
                widths.append(len(row))
            if len(widths) == _PROBED_ROWS:
                break
    except csv.Error:  # a quotation mark that is never closed: what came before it counts
        return widths
    return widths


def _rows(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise ParseError(
            f"{name} cannot be read as CSV ({error} at line {reader.line_num}); a quotation mark "
            "may be missing. Correct it and upload it again."
        ) from error
