"""Which format a file is, by its bytes. A name or a stated type only decides between formats that
the bytes allow: Markdown is also plain text, and so is a table."""

import re

from retrieval.parsing.delimited import delimiter_of
from retrieval.parsing.jsonl import are_records
from retrieval.parsing.mail import is_mail
from retrieval.parsing.packages import is_package, package_type
from retrieval.parsing.refusals import unreadable

MARKDOWN = "text/markdown"
CSV = "text/csv"
JSONL = "application/x-ndjson"
MAIL = "message/rfc822"

_BY_ENDING = {
    **dict.fromkeys(("md", "markdown", "mdown"), MARKDOWN),
    **dict.fromkeys(("htm", "html", "xhtml"), "text/html"),
    **dict.fromkeys(("csv", "tsv", "tab"), CSV),
    **dict.fromkeys(("jsonl", "ndjson"), JSONL),
    "eml": MAIL,
    "pdf": "application/pdf",
    "txt": "text/plain",
}
_ALIASES = {
    "text/x-markdown": MARKDOWN,
    "application/xhtml+xml": "text/html",
    **dict.fromkeys(("application/csv", "text/tab-separated-values"), CSV),
    **dict.fromkeys(("application/jsonl", "application/x-jsonlines", "application/ndjson"), JSONL),
}

# First bytes of common files that hold text nobody here reads yet, named so that the message helps.
_UNREAD = {
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
_SAMPLE_BYTES = 65_536
_MIN_RECORDS = 2  # of a file that is not called JSONL; a single object may be anything


def sniff(data: bytes, name: str, media_type: str | None = None) -> str:
    """The media type of a file that can be read; anything that is text is at least plain text."""
    for magic, description in _UNREAD.items():
        if data.startswith(magic):
            raise unreadable(name, description)
    if is_package(data):
        return package_type(data, name)
    declared = (media_type or "").split(";")[0].strip().lower()
    named = _BY_ENDING.get(name.rsplit(".", 1)[-1].lower()) or _ALIASES.get(declared, declared)
    if data.lstrip().startswith(b"%PDF-"):
        return "application/pdf"
    if named == "application/pdf" and b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return "application/pdf"
    if _HTML.match(data):
        return "text/html"
    return _among_texts(data, named)


def _among_texts(data: bytes, named: str) -> str:
    sample = data[:_SAMPLE_BYTES]
    text = _shown(sample)
    if is_mail(sample.lstrip(b"\xef\xbb\xbf\r\n"), is_stated=named == MAIL):
        return MAIL
    if are_records(text, at_least=1 if named == JSONL else _MIN_RECORDS):
        return JSONL
    if named == CSV and delimiter_of(text) is not None:
        return CSV
    is_open = named in {MARKDOWN, "text/html", "application/pdf"}
    return named if is_open else "text/plain"


def _shown(sample: bytes) -> str:
    encoding = "utf-16" if sample.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return sample.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
