"""PDF through docling, where it is installed: layout, tables and reading order by models.

Optional: 122 packages and models of 0.4 GB that an operator puts into a folder. Nothing is fetched.
The rest of the parser speaks to it through `Layout`, which knows nothing of docling.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from retrieval.errors import ParseError
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.normalise import clean
from retrieval.parsing.refusals import damage_shows_as_any_error
from retrieval.types import BlockKind, Document

_MEDIA_TYPE = "application/pdf"
_KINDS: dict[str, BlockKind] = {
    "title": "heading",
    "section_header": "heading",
    "list_item": "list",
    "table": "table",
    "code": "code",
    "formula": "code",
}
# What a page repeats or what has no words.
_LEFT_OUT = frozenset({"page_header", "page_footer", "picture", "document_index"})


@dataclass(frozen=True, slots=True)
class LayoutItem:
    label: str  # docling's name for its kind
    text: str
    page: int | None = None
    level: int = 1  # of a section header


class Layout(Protocol):
    def read(self, data: bytes, name: str) -> Iterable[LayoutItem]:
        """What stands on the pages, in reading order. Any error means a damaged file."""
        ...


class DoclingParser:
    """A `retrieval.protocols.Parser`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def parse(self, data: bytes, name: str) -> Document:
        builder = DocumentBuilder(name)
        title = ""
        with damage_shows_as_any_error(name, "PDF"):
            items = list(self._layout.read(data, name))
        for item in _with_whole_lists(items):
            text = clean(item.text).strip()
            if not text or item.label in _LEFT_OUT:
                continue
            if item.label == "title" and not title:
                title = " ".join(text.split())
            kind = _KINDS.get(item.label, "paragraph")
            # A title is above all sections.
            level = 1 if item.label == "title" else min(item.level + 1, 6)
            builder.add(kind, text, level=level if kind == "heading" else 0, page=item.page)
        return builder.build(title, _MEDIA_TYPE)


def _with_whole_lists(items: Iterable[LayoutItem]) -> Iterator[LayoutItem]:
    """Neighbouring items of a list on one page as one block, a line each."""
    waiting: LayoutItem | None = None
    for item in items:
        is_next = item.label == "list_item" and waiting is not None and waiting.page == item.page
        if is_next and waiting is not None:
            waiting = LayoutItem("list_item", f"{waiting.text}\n{_bulleted(item)}", item.page)
            continue
        if waiting is not None:
            yield waiting
        waiting = None
        if item.label == "list_item":
            waiting = LayoutItem("list_item", _bulleted(item), item.page)
        else:
            yield item
    if waiting is not None:
        yield waiting


def _bulleted(item: LayoutItem) -> str:
    return f"- {' '.join(item.text.split())}"


class DoclingLayout:
    """docling with the models of one folder, no text recognition and no network."""

    def __init__(self, models: Path) -> None:
        try:
            from docling.datamodel.base_models import DocumentStream, InputFormat
            from docling.datamodel.pipeline_options import PdfPipelineOptions
            from docling.document_converter import DocumentConverter, PdfFormatOption
        except ImportError as error:
            raise ParseError(
                "LARDER_DOCLING_MODELS is set but docling is not installed. "
                "Run `pip install larder[docling]`, or remove the setting."
            ) from error
        options = PdfPipelineOptions(artifacts_path=str(models), do_ocr=False)
        pdf_only = {InputFormat.PDF: PdfFormatOption(pipeline_options=options)}
        self._stream = DocumentStream
        self._converter = DocumentConverter(
            allowed_formats=[InputFormat.PDF], format_options=pdf_only
        )

    def read(self, data: bytes, name: str) -> Iterator[LayoutItem]:  # noqa: ARG002
        stream = self._stream(name="document.pdf", stream=io.BytesIO(data))
        document: Any = self._converter.convert(stream).document
        for item, _depth in document.iterate_items():
            label = str(getattr(item.label, "value", item.label))
            is_table = label == "table"
            text = item.export_to_markdown(document) if is_table else getattr(item, "text", "")
            places = getattr(item, "prov", None)
            page = int(places[0].page_no) if places else None
            yield LayoutItem(label, text, page, int(getattr(item, "level", 1) or 1))


@cache
def docling_parser(models: str) -> DoclingParser:
    """One a process: loading the models takes seconds."""
    return DoclingParser(DoclingLayout(Path(models)))
