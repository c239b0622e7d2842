"""PDF through docling's place in the program, with a layout of our own; without it, a message."""

import sys
from collections.abc import Iterable

import pytest

from retrieval.errors import EmptyDocument, ParseError
from retrieval.parsing.docling_pdf import DoclingLayout, DoclingParser, LayoutItem
from retrieval.parsing.registry import parse
from tests.fakes.pdf_bytes import make_pdf
from tests.support.parsed import check


class FixedLayout:
    def __init__(self, items: Iterable[LayoutItem], error: Exception | None = None) -> None:
        self._items = items
        self._error = error

    def read(self, data: bytes, name: str) -> Iterable[LayoutItem]:
        yield from self._items
        if self._error is not None:
            raise self._error


def test_items_become_blocks() -> None:
    items = [
        LayoutItem("page_header", "Annual report", 1),
        LayoutItem("title", "Harbour\nrules", 1),
        LayoutItem("section_header", "Winter", 1, 1),
        LayoutItem("text", "It is closed.", 1),
        LayoutItem("list_item", "one", 1),
        LayoutItem("list_item", "two", 1),
        LayoutItem("list_item", "three", 2),
        LayoutItem("section_header", "Fees", 2, 2),
        LayoutItem("table", "| a | b |\n|---|---|\n| 1 | 2 |", 2),
        LayoutItem("code", "x = 1", 2),
        LayoutItem("picture", "", 2),
        LayoutItem("text", "   ", 2),
        LayoutItem("something_new", "Read as text.", None),
    ]
    document = DoclingParser(FixedLayout(items)).parse(b"", "file.pdf")
    check(document)
    assert document.title == "Harbour rules"
    shown = [(b.kind, b.level, b.page, document.text[b.start : b.end]) for b in document.blocks]
    assert shown == [
        ("heading", 1, 1, "Harbour\nrules"),
        ("heading", 2, 1, "Winter"),
        ("paragraph", 0, 1, "It is closed."),
        ("list", 0, 1, "- one\n- two"),
        ("list", 0, 2, "- three"),
        ("heading", 3, 2, "Fees"),
        ("table", 0, 2, "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", 0, 2, "x = 1"),
        ("paragraph", 0, None, "Read as text."),
    ]


def test_damage_is_one_message() -> None:
    layout = FixedLayout([LayoutItem("text", "a")], RuntimeError("pipeline failed"))
    with pytest.raises(ParseError, match="damaged"):
        DoclingParser(layout).parse(b"", "file.pdf")
    with pytest.raises(EmptyDocument):
        DoclingParser(FixedLayout([])).parse(b"", "file.pdf")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "docling", None)
    monkeypatch.setitem(sys.modules, "docling.datamodel.base_models", None)
    with pytest.raises(ParseError, match=r"larder\[docling\]"):
        DoclingLayout(tmp_path)
    with pytest.raises(ParseError, match=r"larder\[docling\]"):
        parse(make_pdf([["Text."]]), "a.pdf", docling_models=str(tmp_path))
    assert parse(b"plain", "a.txt", docling_models=str(tmp_path)).text == "plain"
