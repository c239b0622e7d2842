"""Sniffing, decoding, normalisation, and what every parser promises for any bytes."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import EmptyDocument, ParseError, RetrievalError, UnsupportedMedia
from retrieval.parsing import builder, normalise
from retrieval.parsing.html import HtmlParser
from retrieval.parsing.markdown import MarkdownParser
from retrieval.parsing.normalise import clean
from retrieval.parsing.pdf import PdfParser
from retrieval.parsing.registry import parse
from retrieval.parsing.sniffing import sniff
from retrieval.parsing.text import TextParser
from retrieval.protocols import Parser
from tests.fakes.pdf_bytes import make_pdf
from tests.support.parsed import check

PARSERS = [TextParser(), MarkdownParser(), HtmlParser(), PdfParser()]


@pytest.mark.parametrize(
    ("data", "name", "declared", "expected"),
    [
        (b"%PDF-1.4", "x.txt", None, "application/pdf"),
        (b"junk\n%PDF-1.4", "x.pdf", None, "application/pdf"),
        (b"a note on %PDF-1.4", "x.txt", None, "text/plain"),
        (b"no header", "x.pdf", None, "application/pdf"),
        (b"\xef\xbb\xbf <!DOCTYPE HTML><p>", "x.md", None, "text/html"),
        (b"<?xml version='1.0'?>\n<!-- hi --><html>", "x", None, "text/html"),
        (b"<p>part of a page", "x.htm", None, "text/html"),
        (b"# Head", "x.MD", "text/plain", "text/markdown"),
        (b"# Head", "x", "text/markdown; charset=utf-8", "text/markdown"),
        (b"# Head", "x", "text/x-markdown", "text/markdown"),
        (b"a,b", "x.csv", "application/octet-stream", "text/plain"),
    ],
)
def test_sniff(data: bytes, name: str, declared: str | None, expected: str) -> None:
    assert sniff(data, name, declared) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n", "PNG"),
        (b"{\\rtf1 x}", "RTF"),
        (b"text\x00text", "not a text file"),
        (b"\x01\x02\x03\x04abc", "not a text file"),
        (bytes(range(128, 256)), "Save it as UTF-8"),
        ("Пример".encode("koi8-r"), "Save it as UTF-8"),
        (b"caf\xe9 and an undefined \x81 byte", "Save it as UTF-8"),
    ],
)
def test_unsupported(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=words):
        parse(data, "file")


@pytest.mark.parametrize("text", ["", " \n\t ", "\ufeff", "\u00ad\ufeff", "\u200b\n\n\u200d"])
def test_empty(text: str) -> None:
    with pytest.raises(EmptyDocument, match="right file"):
        parse(text.encode(), "file.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    assert parse("A café “here”".encode(encoding), "x.txt").text == "A café “here”"


def test_a_package_cut_short() -> None:
    with pytest.raises(ParseError, match="ZIP archive or an Office document; it may be damaged"):
        parse(b"PK\x03\x04rest", "file")


def test_broken_utf16() -> None:
    with pytest.raises(ParseError, match="utf-16"):
        parse(b"\xff\xfe\x00\xd8\x00\xd8a", "x.txt")


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalise, "MAX_TEXT_CHARS", 10)
    monkeypatch.setattr(builder, "MAX_TEXT_CHARS", 10)
    for data in (b"word " * 10, make_pdf([["word word word"]])):
        with pytest.raises(ParseError, match="Split it"):
            parse(data, "x")


def test_text_paragraphs() -> None:
    document = parse(b"One\r\ntwo\r\rthree\n \n\nfour\x0cfive", "dir\\my.notes.txt")
    assert document.text == "One\ntwo\n\nthree\n \n\nfour\nfive"
    shown = [document.text[b.start : b.end] for b in document.blocks]
    assert shown == ["One\ntwo", "three", "four\nfive"]
    assert document.title == "my.notes"


def test_names_without_a_stem() -> None:
    assert parse(b"x", ".txt").title == ".txt"
    assert parse(b"x", "").title == "Untitled"


def test_combining_marks_stay_quick() -> None:
    text = clean("e" + "\u0300\u0316" * 1_000_000 + "x")
    assert len(text) < 40
    assert text.endswith("x")
    assert clean("e\u0301") == "é"


@given(st.text(st.characters(codec=None)))
def test_clean_is_idempotent(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]


MARKDOWN = st.lists(
    st.sampled_from(
        [
            *(
                "# a",
                "### b ##",
                "#",
                "text",
                "text: `x`",
                "- i",
                "  - j",
                "1. k",
                "",
                "",
                "```",
                "~~~~",
            ),
            *(
                "| a | b |",
                "|---|---|",
                "---",
                "===",
                "    code",
                "\ttab",
                "> q",
                "***",
                " ",
                "\u00a0",
            ),
        ]
    ),
    max_size=30,
).map("\n".join)
TAGS = [
    *("h1", "h3", "p", "ul", "ol", "li", "table", "tr", "td", "pre", "code", "div", "b", "br"),
    *("blockquote", "script", "head", "body", "html", "title", "dl", "caption", "nav"),
]
HTML = st.lists(
    st.one_of(
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
        st.sampled_from(
            ["word ", "a\nb", "&nbsp;", "&#0;", "<!-- x -->", "<?pi?>", "<![CDATA[x]]>"]
        ),
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: type(parser).__name__)
@settings(deadline=None, max_examples=120)
@given(data=st.one_of(st.binary(max_size=300), st.text().map(str.encode), HTML.map(str.encode)))
def test_any_bytes(parser: Parser, data: bytes) -> None:
    try:
        document = parser.parse(data, "some.file")
    except RetrievalError:
        return
    check(document)


@settings(deadline=None, max_examples=200)
@given(text=MARKDOWN)
def test_any_markdown(text: str) -> None:
    try:
        document = MarkdownParser().parse(text.encode(), "x.md")
    except EmptyDocument:
        return
    check(document)


@settings(deadline=None, max_examples=100)
@given(text=HTML)
def test_any_page(text: str) -> None:
    for data in (text.encode(), f"<html><body>{text}<p>end".encode()):
        try:
            document = HtmlParser().parse(data, "x.html")
        except ParseError:
            continue
        check(document)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_damage_to_a_pdf(data: st.DataObject) -> None:
    whole = bytearray(make_pdf([["Some text here."], ["More text."]], title="T"))
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        document = PdfParser().parse(bytes(whole), "x.pdf")
    except ParseError:
        return
    check(document)
