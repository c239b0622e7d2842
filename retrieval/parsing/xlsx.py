"""XLSX: each visible sheet a heading, each row a block with the labels of its columns.

Cells hold what the program that wrote the file last computed; nothing is computed here.
"""

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.packages import XLSX, read_package
from retrieval.parsing.rows import add_rows
from retrieval.types import Document


class XlsxParser:
    def parse(self, data: bytes, name: str) -> Document:
        return read_package(data, name, XLSX, "an XLSX sheet", _read)


def _read(data: bytes, builder: DocumentBuilder) -> str:
    # It warns of every decoration that it does not know, none of which is text.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_book(data, builder)


def _read_book(data: bytes, builder: DocumentBuilder) -> str:
    import openpyxl

    book = openpyxl.load_workbook(
        BytesIO(data), read_only=True, data_only=True, keep_links=False, rich_text=False
    )
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                add_rows(builder, _rows(sheet), heading=" ".join(sheet.title.split()))
        return str(book.properties.title or "")
    finally:
        book.close()


# The library's stubs do not know that sheets that are only read have a class of their own.
def _rows(sheet: Any) -> Iterator[list[str]]:
    # Some programs write a size that is too small, and only so many cells would be read.
    sheet.reset_dimensions()
    for row in sheet.iter_rows(values_only=True):
        yield [_shown(value) for value in row]


def _shown(value: object) -> str:
    """As a spreadsheet shows it: 15 digits, no midnight behind a date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).removesuffix(" 00:00:00")
