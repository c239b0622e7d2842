"""DOCX: headings, paragraphs, lists and tables in the order of the text, notes at its end.

What was deleted under tracked changes, tables of contents and running heads are left out; pages are
those of the last time a program laid the document out, where it has noted them.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from lxml import etree

from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.docx_styles import Numbering, Styles
from retrieval.parsing.docx_text import W, flat_text, leading_page_breaks, text_of
from retrieval.parsing.packages import DOCX, read_package
from retrieval.types import Document

if TYPE_CHECKING:
    from docx.document import Document as OpenDocument

# Elements around paragraphs that add nothing to read.
_WRAPPERS = {f"{W}{tag}" for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "tc", "tr")}
_ROWS = etree.XPath("*[local-name()='tr'] | *[local-name()='sdt']/*/*[local-name()='tr']")
_CELLS = etree.XPath("*[local-name()='tc'] | *[local-name()='sdt']/*/*[local-name()='tc']")
_NOTES = ("/footnotes", "/endnotes")


class DocxParser:
    def parse(self, data: bytes, name: str) -> Document:
        return read_package(data, name, DOCX, "a DOCX document", _read)


def _read(data: bytes, builder: DocumentBuilder) -> str:
    import docx

    document = docx.Document(BytesIO(data))
    walker = _Walker(builder, Styles(document.styles.element), _numbering(document))
    walker.walk(document.element.body)
    for note in _notes(document):
        builder.add("paragraph", note)
    return walker.title or str(document.core_properties.title or "") or walker.first_heading


def _numbering(document: "OpenDocument") -> Numbering:
    for link in document.part.rels.values():
        if link.reltype.endswith("/numbering") and not link.is_external:
            return Numbering(link.target_part.element)
    return Numbering(None)


def _notes(document: "OpenDocument") -> Iterator[str]:
    from docx.oxml import parse_xml

    for link in document.part.rels.values():
        if link.reltype.endswith(_NOTES) and not link.is_external:
            for note in parse_xml(link.target_part.blob):
                if note.get(f"{W}type") is None:  # the others are ruling lines
                    yield flat_text(note)


class _Walker:
    """Emits the blocks of a body; `title` is the text of the first paragraph styled as one."""

    def __init__(self, builder: DocumentBuilder, styles: Styles, numbering: Numbering) -> None:
        self._builder = builder
        self._styles = styles
        self._numbering = numbering
        self._items: list[str] = []  # of the list being read
        self._list_id = ""
        self._items_page: int | None = None
        self._page: int | None = None
        self.title = ""
        self.first_heading = ""

    def walk(self, body: etree._Element) -> None:
        if next(body.iter(f"{W}lastRenderedPageBreak"), None) is not None:
            self._page = 1
        stack = [body]
        while stack:
            element = stack.pop()
            if element.tag == f"{W}p":
                self._add_paragraph(element)
            elif element.tag == f"{W}tbl" and _is_data_table(element):
                self._add_table(element)
            elif element.tag in _WRAPPERS or element.tag in {f"{W}body", f"{W}tbl"}:
                stack.extend(reversed(element))
        self._flush()

    def _add_paragraph(self, paragraph: etree._Element) -> None:
        breaks_before, breaks = leading_page_breaks(paragraph)
        self._turn(breaks_before)
        text = text_of(paragraph).strip()
        style = self._styles.of(paragraph)
        if not text or style.is_contents:
            pass
        elif style.heading_level:
            heading = " ".join(text.split())
            self._flush()
            self._builder.add("heading", heading, level=style.heading_level, page=self._page)
            if style.is_title:
                self.title = self.title or heading
            self.first_heading = self.first_heading or heading
        elif style.list_id:
            if style.list_id != self._list_id and not style.list_level:
                self._flush()
            if not self._items:
                self._list_id, self._items_page = style.list_id, self._page
            marker = self._numbering.marker(style.list_id, style.list_level)
            self._items.append(marker + " ".join(text.split()))
        else:
            self._flush()
            self._builder.add("paragraph", text, page=self._page)
        self._turn(breaks - breaks_before)

    def _add_table(self, table: etree._Element) -> None:
        self._flush()
        breaks_before, breaks = leading_page_breaks(table)
        self._turn(breaks_before)
        rows = ([flat_text(cell) for cell in _CELLS(row)] for row in _ROWS(table))
        lines = (" | ".join(row) for row in rows if any(row))
        self._builder.add("table", "\n".join(lines), page=self._page)
        self._turn(breaks - breaks_before)

    def _flush(self) -> None:
        if self._items:
            self._builder.add("list", "\n".join(self._items), page=self._items_page)
            self._items.clear()

    def _turn(self, pages: int) -> None:
        if self._page is not None:
            self._page += pages


def _is_data_table(table: etree._Element) -> bool:
    """More than one column; else it is a frame around text."""
    return any(len(_CELLS(row)) > 1 for row in _ROWS(table))
