"""Office packages: what is refused, and with which words."""

import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest

from retrieval.errors import EncryptedDocument, ParseError, UnsupportedMedia
from retrieval.parsing import packages
from retrieval.parsing.docx import DocxParser
from retrieval.parsing.packages import DOCX, PPTX, XLSX
from retrieval.parsing.pptx import PptxParser
from retrieval.parsing.registry import parse
from retrieval.parsing.sniffing import sniff
from retrieval.parsing.xlsx import XlsxParser
from retrieval.protocols import Parser
from tests.fakes.office_files import make_docx, make_pptx, make_xlsx, repacked, two_slides

WORD = make_docx(("Normal", "Text."))
SHEET = make_xlsx({"A": [["a", "b"]]})
TYPES = "[Content_Types].xml"
PART = "word/document.xml"


def archive(**parts: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return stream.getvalue()


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(old, new)


@pytest.mark.parametrize("name", ["x.txt", "x.pdf", "x", "x.csv"])
def test_a_name_does_not_matter(name: str) -> None:
    assert sniff(WORD, name, "text/html") == DOCX
    assert sniff(SHEET, name) == XLSX
    assert sniff(make_pptx(two_slides), name) == PPTX


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive(a=b"x"), "is a ZIP archive. Upload text, Markdown"),
        (archive(**{"mimetype": b"x", "content.xml": b"x"}), "an OpenDocument file"),
        (archive(**{TYPES: b"<Types/>"}), "a package of another program"),
        (b"\xd0\xcf\x11\xe0 old", "an old Office document"),
        (repacked(WORD, {TYPES: swap(b"document.main", b"template.main")}), "an Office template"),
        (
            repacked(WORD, {"_rels/.rels": swap(b"</Rel", b"<!-- purl.oclc.org/ooxml --></Rel")}),
            "Strict Open XML",
        ),
        (
            repacked(
                WORD,
                {
                    TYPES: lambda old: (
                        old + b"<!-- application/vnd.ms-word.document.macroEnabled.main+xml -->"
                    )
                },
            ),
            "with macros, which are programs. Save it without",
        ),
    ],
)
def test_not_read(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=words):
        parse(data, "x.docx")


def test_protected_by_a_password() -> None:
    whole = b"\xd0\xcf\x11\xe0" + b"x" * 100 + "EncryptedPackage".encode("utf-16-le")
    parts = bytearray(WORD)
    at = parts.rfind(b"PK\x01\x02")  # the flags of the last part, in the directory
    parts[at + 8] |= 1
    for data in (whole, bytes(parts)):
        with pytest.raises(EncryptedDocument, match="protected by a password"):
            parse(data, "x.docx")


def test_bombs() -> None:
    filled = repacked(WORD, add={"word/media/a.bin": bytes(40 * 2**20)})
    assert len(filled) < 100_000
    with pytest.raises(ParseError, match="more than is safe to open"):
        parse(filled, "x.docx")


def test_sizes_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_UNPACKED_BYTES", "MAX_PACKAGE_PARTS"):
        with monkeypatch.context() as patch:
            patch.setattr(packages, limit, 5)
            with pytest.raises(ParseError, match="more than is safe to open"):
                parse(WORD, "x.docx")


def test_a_size_that_lies() -> None:
    data = bytearray(WORD)
    # Of the part's own header and of its line in the directory, its length before its name.
    for start in (data.find(PART.encode()) - 8, data.rfind(PART.encode()) - 22):
        data[start : start + 4] = (10).to_bytes(4, "little")
    with pytest.raises(ParseError, match="ZIP archive or an Office document; it may be damaged"):
        parse(bytes(data), "x.docx")


@pytest.mark.parametrize("path", ["../up", "/top", "a\\b", "C:x", "word/../../up"])
def test_paths_that_lead_out(path: str) -> None:
    with pytest.raises(ParseError, match="cannot be read as an Office document"):
        parse(repacked(WORD, add={path: b"x"}), "x.docx")


def test_other_methods_of_packing() -> None:
    with pytest.raises(ParseError, match="cannot be read as an Office document"):
        parse(repacked(WORD, method=zipfile.ZIP_LZMA), "x.docx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("package", [WORD, SHEET])
def test_entities(package: bytes, encoding: str) -> None:
    evil = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    with pytest.raises(ParseError, match="cannot be read as an Office document"):
        parse(repacked(package, add={"custom/item.xml": evil.encode(encoding)}), "x")


def test_a_damaged_part() -> None:
    with pytest.raises(ParseError, match="cannot be read as a DOCX document; it may be damaged"):
        parse(repacked(WORD, {PART: lambda old: old[:200]}), "x.docx")


@pytest.mark.parametrize(
    ("parser", "data"),
    [(DocxParser(), SHEET), (XlsxParser(), WORD), (PptxParser(), WORD), (DocxParser(), b"text")],
)
def test_a_parser_takes_its_own_format_only(parser: Parser, data: bytes) -> None:
    with pytest.raises(ParseError, match="cannot be read as an Office document"):
        parser.parse(data, "x")
