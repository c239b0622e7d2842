"""XLSX: each visible sheet a heading, each row a block with the labels of its columns.

Cells hold what the program that wrote the file last computed; nothing is computed here. Where it
computed nothing, the formula itself stands in the cell.
"""

import re
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.packages import XLSX, read_package
from retrieval.parsing.rows import add_rows
from retrieval.types import Document

# A formula that nothing was computed for. One that came to no text has the type "str".
_NOT_COMPUTED = re.compile(
    rb"<(?:\w+:)?c\b(?![^<>]{0,400}\bt=.str.)[^<>]{0,400}>\s{0,80}"
    rb"<(?:\w+:)?f\b[^<>]{0,400}(?:/>|>[^<]{0,9000}</(?:\w+:)?f>)\s{0,80}"
    rb"(?:<(?:\w+:)?v\s?(?:/>|></(?:\w+:)?v>)\s{0,80})?</(?:\w+:)?c>"
)
_PIECE = 1 << 20  # bytes looked at together, and the end of the piece before with them
_OVERLAP = 1 << 14  # longer than a cell with the longest formula, 8,192 characters


class XlsxParser:
    def parse(self, data: bytes, name: str) -> Document:
        return read_package(data, name, XLSX, "an XLSX sheet", _read)


def _read(data: bytes, builder: DocumentBuilder) -> str:
    # It warns of every decoration that it does not know, none of which is text.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_book(data, builder)


def _read_book(data: bytes, builder: DocumentBuilder) -> str:
    book = _open(data, formulas=False)
    written = _open(data, formulas=True) if _lacks_values(data) else None
    try:
        for place, sheet in enumerate(book.worksheets):
            if sheet.sheet_state == "visible":
                rows = (
                    _rows(sheet) if written is None else _filled(sheet, written.worksheets[place])
                )
                add_rows(builder, rows, heading=" ".join(sheet.title.split()))
        return str(book.properties.title or "")
    finally:
        book.close()
        if written is not None:
            written.close()


def _open(data: bytes, *, formulas: bool) -> Any:
    import openpyxl

    return openpyxl.load_workbook(
        BytesIO(data), read_only=True, data_only=not formulas, keep_links=False, rich_text=False
    )


def _lacks_values(data: bytes) -> bool:
    """Whether a formula stands in some sheet without what it comes to."""
    with zipfile.ZipFile(BytesIO(data)) as package:
        return any(_holds(package, name) for name in package.namelist() if "worksheets/" in name)


def _holds(package: zipfile.ZipFile, name: str) -> bool:
    end = b""
    with package.open(name) as part:
        while piece := part.read(_PIECE):
            if _NOT_COMPUTED.search(end + piece):
                return True
            end = piece[-_OVERLAP:]
    return False


# The library's stubs do not know that sheets that are only read have a class of their own.
def _rows(sheet: Any) -> Iterator[list[str]]:
    for row in _values(sheet):
        yield [_shown(value) for value in row]


def _filled(sheet: Any, written: Any) -> Iterator[list[str]]:
    """The rows of `sheet`, with formulas of `written` where there is no value."""
    for row, formulas in zip(_values(sheet), _values(written), strict=True):
        pairs = zip(row, formulas, strict=True)
        yield [_shown(_formula(made) if value is None else value) for value, made in pairs]


def _values(sheet: Any) -> Iterator[tuple[object, ...]]:
    # Some programs write a size that is too small, and only so many cells would be read.
    sheet.reset_dimensions()
    return iter(sheet.iter_rows(values_only=True))


def _formula(value: object) -> object:
    """Formulas over several cells are objects that hold their text; data tables have none."""
    return value if value is None or isinstance(value, str) else getattr(value, "text", None)


def _shown(value: object) -> str:
    """As a spreadsheet shows it: 15 digits, no midnight behind a date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).removesuffix(" 00:00:00")
