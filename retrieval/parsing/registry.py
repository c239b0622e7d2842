"""Chooses the parser for a file: by its bytes, then by its name, then by what was declared.

A new format is one new file, one line in `_parsers` and what `sniffing` tells it by.
"""

from functools import cache
from typing import TYPE_CHECKING

from retrieval.errors import EmptyDocument
from retrieval.parsing.sniffing import sniff
from retrieval.types import Document

if TYPE_CHECKING:
    from retrieval.protocols import Parser


def parse(
    data: bytes, name: str, media_type: str | None = None, docling_models: str | None = None
) -> Document:
    """Turn a file into text with structure. Raises `ParseError` with what the user can do.

    With a folder of docling's models PDF is read by docling.
    """
    if not data.strip():
        raise EmptyDocument(f"{name} is empty. Check that it is the right file.")
    found = sniff(data, name, media_type)
    if found == "application/pdf" and docling_models is not None:
        from retrieval.parsing.docling_pdf import docling_parser

        return docling_parser(docling_models).parse(data, name)
    return _parsers()[found].parse(data, name)


@cache
def _parsers() -> "dict[str, Parser]":
    # Imported at first use: lxml and its like are of no use to a server that only answers.
    from retrieval.parsing.delimited import DelimitedParser
    from retrieval.parsing.docx import DocxParser
    from retrieval.parsing.html import HtmlParser
    from retrieval.parsing.jsonl import JsonLinesParser
    from retrieval.parsing.mail import MailParser
    from retrieval.parsing.markdown import MarkdownParser
    from retrieval.parsing.packages import DOCX, PPTX, XLSX
    from retrieval.parsing.pdf import PdfParser
    from retrieval.parsing.pptx import PptxParser
    from retrieval.parsing.text import TextParser
    from retrieval.parsing.xlsx import XlsxParser

    return {
        "text/plain": TextParser(),
        "text/markdown": MarkdownParser(),
        "text/html": HtmlParser(),
        "application/pdf": PdfParser(),
        "text/csv": DelimitedParser(),
        "application/x-ndjson": JsonLinesParser(),
        "message/rfc822": MailParser(),
        DOCX: DocxParser(),
        XLSX: XlsxParser(),
        PPTX: PptxParser(),
    }
