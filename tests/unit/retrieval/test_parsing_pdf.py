"""PDF parser on real files made here."""

import pytest

from retrieval.errors import EmptyDocument, EncryptedDocument, ParseError
from retrieval.parsing import pdf
from retrieval.parsing.pdf import PdfParser
from retrieval.parsing.pdf_headings import heading_levels
from retrieval.parsing.registry import parse
from tests.fakes.pdf_bytes import make_pdf

LONG = "The harbour was closed in winter because the ice reached the outer wall of the"
LONGER = "old fort, and no ship could pass until the thaw set in during late March."


def test_pages_are_on_the_blocks() -> None:
    document = parse(make_pdf([["First page here."], ["Second page here."]]), "two.pdf")
    assert [block.page for block in document.blocks] == [1, 2]
    assert document.text == "First page here.\n\nSecond page here."
    assert document.media_type == "application/pdf"


def test_lines_of_a_paragraph_are_joined_and_short_lines_kept_apart() -> None:
    document = parse(make_pdf([["Harbour", LONG, LONGER, "Fees", LONG, "fort."]]), "h.pdf")
    assert document.text == f"Harbour\n{LONG} {LONGER} Fees\n{LONG} fort."


def test_a_paragraph_ends_with_a_short_last_line() -> None:
    document = parse(make_pdf([[LONG, "fort.", LONG, "fort."]]), "h.pdf")
    assert document.text == f"{LONG} fort.\n\n{LONG} fort."


def test_hyphen_at_line_end_is_joined() -> None:
    text = parse(make_pdf([["This sentence has one exam-", "ple of a hyphen."]]), "h.pdf").text
    assert "example" in text
    assert "\ufffe" not in text


def test_running_header_and_page_number_go() -> None:
    pages = [
        ["Annual report", f"Chapter {word} has its own words.", "And more.", f"Page {number}"]
        for number, word in enumerate(["one", "two", "three", "four"], start=1)
    ]
    text = parse(make_pdf(pages), "report.pdf").text
    assert "Annual report" not in text
    assert "Page" not in text
    assert text.count("Chapter") == 4


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Harbour rules", "Harbour rules"), ("Microsoft Word - x.doc", "file"), ("", "file")],
)
def test_title(title: str, expected: str) -> None:
    assert parse(make_pdf([["Text."]], title=title), "folder/file.pdf").title == expected


def test_password() -> None:
    with pytest.raises(EncryptedDocument, match="password"):
        parse(make_pdf([["Secret."]], password="open sesame"), "secret.pdf")


def test_encryption_with_an_empty_password_is_read() -> None:
    assert parse(make_pdf([["Not secret."]], password=""), "a.pdf").text == "Not secret."


def test_damaged() -> None:
    with pytest.raises(ParseError, match="damaged"):
        PdfParser().parse(b"%PDF-1.7 and then nothing of use", "broken.pdf")


def test_cut_short_never_crashes() -> None:
    whole = make_pdf([["Some text."]])
    for end in range(0, len(whole), 97):
        try:
            PdfParser().parse(whole[:end], "cut.pdf")
        except ParseError:
            continue


def test_pages_without_text_suggest_ocr() -> None:
    with pytest.raises(EmptyDocument, match="OCR"):
        parse(make_pdf([[], []]), "scan.pdf")


def test_too_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PDF_PAGES", 1)
    with pytest.raises(ParseError, match="more than 1"):
        parse(make_pdf([["a"], ["b"]]), "long.pdf")


def test_larger_letters_are_headings() -> None:
    pages = [
        [("Harbour rules", 22), ("Winter", 16), LONG, "fort.", ("Fees and", 16), ("taxes", 16)],
        [LONG, "fort.", ("Summer", 16), LONG, "fort.", ("8", 16), ("a footnote", 8)],
    ]
    document = parse(make_pdf(pages), "rules.pdf")
    shown = [(b.kind, b.level, b.page, document.text[b.start : b.end]) for b in document.blocks]
    headings = [found[1:] for found in shown if found[0] == "heading"]
    assert headings == [
        (1, 1, "Harbour rules"),
        (2, 1, "Winter"),
        (2, 1, "Fees and taxes"),
        (2, 2, "Summer"),
    ]
    assert next(b.kind for b in document.blocks if b.page == 2) == "paragraph"


def test_letters_of_one_size_are_no_headings() -> None:
    blocks = parse(make_pdf([["Harbour", LONG, LONGER]]), "h.pdf").blocks
    assert {block.kind for block in blocks} == {"paragraph"}


def test_sizes_decide_over_the_whole_document() -> None:
    body = {f"body line {n}": 10.0 for n in range(20)}
    levels = heading_levels([{"Title": 20.0, "x" * 200: 20.0, "...": 20.0}, body, {}])
    assert levels == [{"Title": 1}, {}, {}]
    assert heading_levels([]) == []
    assert heading_levels([{}]) == [{}]
