"""Chooses the parser for a file: first by its bytes, then by its name, then by what was declared.

A new format is one new file and one line in `_parsers`.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from retrieval.errors import EmptyDocument, UnsupportedMedia
from retrieval.types import Document

if TYPE_CHECKING:
    from retrieval.protocols import Parser

_BY_ENDING = {
    "md": "text/markdown",
    "markdown": "text/markdown",
    "mdown": "text/markdown",
    "htm": "text/html",
    "html": "text/html",
    "xhtml": "text/html",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
_ALIASES = {"text/x-markdown": "text/markdown", "application/xhtml+xml": "text/html"}

# First bytes of common files that hold text nobody here reads yet, named so that the message helps.
_UNREAD = {
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"{\\rtf": "an RTF document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
}
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?"
    rb"<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_PDF_HEADER_WITHIN = 1024  # bytes; readers accept junk before the header


def parse(data: bytes, name: str, media_type: str | None = None) -> Document:
    """Turn a file into text with structure. Raises `ParseError` with what the user can do."""
    if not data.strip():
        raise EmptyDocument(f"{name} is empty. Check that it is the right file.")
    return _parsers()[sniff(data, name, media_type)].parse(data, name)


def sniff(data: bytes, name: str, media_type: str | None = None) -> str:
    """The media type of a file that can be read; anything that is text is at least plain text."""
    for magic, description in _UNREAD.items():
        if data.startswith(magic):
            raise UnsupportedMedia(
                f"{name} is {description}. Upload text, Markdown, HTML or PDF instead."
            )
    declared = (media_type or "").split(";")[0].strip().lower()
    named = _BY_ENDING.get(name.rsplit(".", 1)[-1].lower()) or _ALIASES.get(declared, declared)
    if data.lstrip().startswith(b"%PDF-"):
        return "application/pdf"
    if named == "application/pdf" and b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return "application/pdf"
    if _HTML.match(data):
        return "text/html"
    return named if named in _parsers() else "text/plain"


@cache
def _parsers() -> "dict[str, Parser]":
    # Imported at first use: lxml and its like are of no use to a server that only answers.
    from retrieval.parsing.html import HtmlParser
    from retrieval.parsing.markdown import MarkdownParser
    from retrieval.parsing.pdf import PdfParser
    from retrieval.parsing.text import TextParser

    return {
        "text/plain": TextParser(),
        "text/markdown": MarkdownParser(),
        "text/html": HtmlParser(),
        "application/pdf": PdfParser(),
    }
