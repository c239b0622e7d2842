"""PDF: the text of every page in reading order, as paragraphs that know their page.

PDFium gives lines; paragraphs are found from line lengths and headings from the letters' size.
Scanned pages have no text and are not read here.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from retrieval.errors import EmptyDocument, EncryptedDocument, ParseError
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.limits import MAX_PDF_PAGES
from retrieval.parsing.normalise import clean
from retrieval.parsing.pdf_headings import heading_levels, line_sizes
from retrieval.types import Document

if TYPE_CHECKING:
    import pypdfium2

_ERR_PASSWORD = 4  # FPDF_ERR_PASSWORD
_ERR_SECURITY = 5  # FPDF_ERR_SECURITY: an encryption that PDFium does not know
_HYPHEN_AT_LINE_END = re.compile(
    "[\ufffe\x02]\\s*"
)  # PDFium's mark, before or after its own cleaning
_SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
_NO_TITLE = re.compile(r"untitled|microsoft word|.*\.(docx?|pdf|tex|dvi|indd|rtf|odt|qxd)$", re.I)

# A line this share of the page's usual line length ends where the column ends, so the next line
# goes on with its sentence; a shorter one is a heading, a table row or the end of a paragraph.
_FULL_LINE_SHARE = 0.7


class PdfParser:
    # PDFium is not thread-safe, not even between two documents.
    _pdfium = threading.Lock()

    def parse(self, data: bytes, name: str) -> Document:
        with self._pdfium:
            title, pages, sizes = _read(data, name)
        builder = DocumentBuilder(name)
        parts = zip(_without_running_lines(pages), heading_levels(sizes), strict=True)
        for number, (lines, levels) in enumerate(parts, start=1):
            _add_page(builder, lines, levels, number)
        try:
            return builder.build(title, "application/pdf")
        except EmptyDocument as error:
            raise EmptyDocument(
                f"{name} has {len(pages)} page(s) but no text; it may be a scan. "
                "Run text recognition (OCR) over it and upload the result."
            ) from error


def _read(data: bytes, name: str) -> tuple[str, list[list[str]], list[dict[str, float]]]:
    """Title, the lines of each page, and the size of each line's letters."""
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(data) as pdf:
            if len(pdf) > MAX_PDF_PAGES:
                raise ParseError(
                    f"{name} has {len(pdf)} pages, more than {MAX_PDF_PAGES}. "
                    "Split it into smaller files and upload these."
                )
            pages = [_lines(pdf, index) for index in range(len(pdf))]
            return _title(pdf), [lines for lines, _ in pages], [sizes for _, sizes in pages]
    except pypdfium2.PdfiumError as error:
        if error.err_code in (_ERR_PASSWORD, _ERR_SECURITY):
            raise EncryptedDocument(
                f"{name} is protected by a password. Save a copy without one and upload that."
            ) from error
        raise ParseError(
            f"{name} cannot be read as PDF; it may be damaged or cut short. "
            "Open and save it again, or upload another copy."
        ) from error


def _title(pdf: "pypdfium2.PdfDocument") -> str:
    """The title the file states, unless a program has filled in its own or the file's name."""
    title = clean(pdf.get_metadata_value("Title")).strip()
    return "" if _NO_TITLE.match(title) else title


def _lines(pdf: "pypdfium2.PdfDocument", index: int) -> tuple[list[str], dict[str, float]]:
    page = pdf[index]
    try:
        text_page = page.get_textpage()
        try:
            text = text_page.get_text_bounded()
            sizes = line_sizes(text_page)
        finally:
            text_page.close()
    finally:
        page.close()
    joined = _HYPHEN_AT_LINE_END.sub("", text)
    return [" ".join(line.split()) for line in clean(joined).split("\n")], sizes


def _add_page(
    builder: DocumentBuilder, lines: Sequence[str], levels: Mapping[str, int], number: int
) -> None:
    """Headings, and the paragraphs between them; lines of one heading are joined."""
    for level, run in groupby(lines, key=lambda line: levels.get(line, 0)):
        if level:
            builder.add("heading", " ".join(line for line in run if line), level=level, page=number)
            continue
        for paragraph in _paragraphs(list(run)):
            builder.add("paragraph", paragraph, page=number)


def _without_running_lines(pages: Sequence[list[str]]) -> Iterator[list[str]]:
    """Pages without the first or last line that most of them share, page numbers aside."""
    edges = [[line for line in lines if line] for lines in pages]
    counts = Counter(
        _shape(line) for lines in edges for line in {*lines[:1], *lines[-1:]} if len(lines) > 2
    )
    running = {shape for shape, count in counts.items() if count >= 3 and 2 * count > len(pages)}
    for lines in pages:
        visible = [index for index, line in enumerate(lines) if line]
        drop = {index for index in visible[:1] + visible[-1:] if _shape(lines[index]) in running}
        yield [line for index, line in enumerate(lines) if index not in drop]


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", line)


def _paragraphs(lines: Sequence[str]) -> list[str]:
    lengths = sorted(len(line) for line in lines if line)
    full = _FULL_LINE_SHARE * lengths[9 * len(lengths) // 10] if lengths else 0
    paragraphs: list[str] = []
    join: str | None = None  # what goes between the last paragraph and the next line
    for line in lines:
        if not line:
            join = None
            continue
        if join is None:
            paragraphs.append(line)
        else:
            paragraphs[-1] += join + line
        join = _after(line, full)
    return paragraphs


def _after(line: str, full: float) -> str | None:
    if len(line) >= full:
        return " "
    return None if _SENTENCE_END.search(line) else "\n"
