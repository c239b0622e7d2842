"""Files of every format, cut short and damaged: a document or a clean error, nothing else."""

import zipfile
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.errors import ParseError
from retrieval.parsing.delimited import DelimitedParser
from retrieval.parsing.docx import DocxParser
from retrieval.parsing.html import HtmlParser
from retrieval.parsing.jsonl import JsonLinesParser
from retrieval.parsing.mail import MailParser
from retrieval.parsing.markdown import MarkdownParser
from retrieval.parsing.pdf import PdfParser
from retrieval.parsing.pptx import PptxParser
from retrieval.parsing.registry import parse
from retrieval.parsing.text import TextParser
from retrieval.parsing.xlsx import XlsxParser
from retrieval.protocols import Parser
from retrieval.types import Document
from tests.fakes.office_files import make_docx, make_mail, make_pptx, make_xlsx, two_slides
from tests.fakes.pdf_bytes import make_pdf
from tests.support.parsed import check

OFFICE: dict[str, tuple[Parser, bytes]] = {
    "docx": (
        DocxParser(),
        make_docx(("Title", "T"), ("List Number", "a"), ("table", "a|b\nc|d"), ("Normal", "x")),
    ),
    "xlsx": (XlsxParser(), make_xlsx({"A": [["a", "b"], [1, 2.5]], "B": [["x"]]})),
    "pptx": (PptxParser(), make_pptx(two_slides)),
}
WHOLE: dict[str, tuple[Parser, bytes]] = {
    **OFFICE,
    "pdf": (PdfParser(), make_pdf([["Some text here."], ["More text."]], title="T")),
    "html": (HtmlParser(), b"<html><h1>A</h1><p>text<ul><li>b</ul><table><tr><td>c<td>d</table>"),
    "eml": (MailParser(), make_mail("Hi.\n", "<p>Hi", Subject="Fées").as_bytes()),
    "csv": (DelimitedParser(), b'name,year\n"A, B",1\n"C ""D""",2\n'),
    "jsonl": (JsonLinesParser(), b'{"a": [1, {"b": null}]}\n{"c": "d"}\n'),
    "md": (MarkdownParser(), b"---\ntitle: x\n---\n# A\n\n- b\n\n| a | b |\n|---|---|\n"),
    "txt": (TextParser(), "Ein Satz.\n\nUnd «noch» einer.".encode()),
}
RELAXED = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.data_too_large]
)


def read(parser: Parser, data: bytes) -> Document | None:
    try:
        document = parser.parse(data, "some.file")
    except ParseError as error:
        message = str(error)
    else:
        check(document)
        return document
    assert message.startswith("some.file ")
    assert message.endswith(".")
    return None


def damage(data: st.DataObject, whole: bytes) -> bytes:
    """Some bytes changed, a stretch cut out or doubled, or the end missing."""
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = min(len(content), start + data.draw(st.integers(1, 64)))
        kind = data.draw(st.sampled_from(["change", "cut", "double", "end"]))
        if kind == "change":
            content[start:end] = data.draw(st.binary(min_size=1, max_size=8))
        elif kind == "cut" and end - start < len(content):
            del content[start:end]
        elif kind == "double":
            content[start:start] = content[start:end]
        elif start:
            del content[start:]
    return bytes(content)


def with_damaged_part(data: st.DataObject, whole: bytes) -> bytes:
    """A sound archive in which the XML of one part is damaged."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(whole)) as old, zipfile.ZipFile(stream, "w") as new:
        names = [name for name in old.namelist() if name.endswith((".xml", ".rels"))]
        chosen = data.draw(st.sampled_from(names))
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damage(data, content) if name == chosen else content)
    return stream.getvalue()


def with_parts_missing(data: st.DataObject, whole: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(whole)) as old, zipfile.ZipFile(stream, "w") as new:
        gone = data.draw(st.sets(st.sampled_from(old.namelist()), min_size=1, max_size=3))
        for name in old.namelist():
            if name not in gone:
                new.writestr(name, old.read(name))
    return stream.getvalue()


@pytest.mark.parametrize("kind", WHOLE)
def test_whole(kind: str) -> None:
    assert read(*WHOLE[kind]) is not None


@pytest.mark.parametrize("kind", WHOLE)
@RELAXED
@given(data=st.binary(max_size=400))
def test_any_bytes(kind: str, data: bytes) -> None:
    read(WHOLE[kind][0], data)


@pytest.mark.parametrize("kind", WHOLE)
@RELAXED
@given(data=st.data())
def test_damaged(kind: str, data: st.DataObject) -> None:
    parser, whole = WHOLE[kind]
    read(parser, damage(data, whole))


@pytest.mark.parametrize("kind", OFFICE)
@RELAXED
@given(data=st.data())
def test_damaged_part(kind: str, data: st.DataObject) -> None:
    parser, whole = OFFICE[kind]
    read(parser, with_damaged_part(data, whole))


@pytest.mark.parametrize("kind", OFFICE)
@RELAXED
@given(data=st.data())
def test_parts_missing(kind: str, data: st.DataObject) -> None:
    parser, whole = OFFICE[kind]
    read(parser, with_parts_missing(data, whole))


@RELAXED
@given(data=st.data(), kind=st.sampled_from(sorted(WHOLE)), other=st.sampled_from(sorted(WHOLE)))
def test_sniffed_under_any_name(data: st.DataObject, kind: str, other: str) -> None:
    content = damage(data, WHOLE[kind][1])
    try:
        document = parse(content, f"some.{other}")
    except ParseError:
        return
    check(document)
