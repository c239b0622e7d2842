"""Headings of wiki pages that were saved as text."""

import pytest

from retrieval.parsing.markdown import MarkdownParser, heading_text
from retrieval.parsing.text import TextParser
from retrieval.parsing.wiki import wiki_heading

PAGES = (
    "= One = \n\nText of one.\n= = Part = =\nMore of it.\n\n"
    " = Two = \n\n= = Part = =\n\nText of two."
)


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("== Title ==", (2, "Title")),
        ("==Title==", (2, "Title")),
        (" = Title = ", (1, "Title")),
        ("= = = Music = = = ", (3, "Music")),
        ("== a = b ==", (2, "a = b")),
        ("=== Größe 2 ===\t", (3, "Größe 2")),
        ("=x=", None),
        ("= x", None),
        ("a == b", None),
        ("== a =", None),
        ("= a ==", None),
        ("=====", None),
        ("= = = =", None),
        ("=== ===", None),
        ("== ! ==", None),
        ("", None),
        ("== " + "a" * 300 + " ==", None),
        ("=" * 100_000, None),
        ("= " * 90 + "a", None),
    ],
)
def test_which_lines_are_headings(line: str, heading: tuple[int, str] | None) -> None:
    assert wiki_heading(line) == heading


@pytest.mark.parametrize("parser", [MarkdownParser(), TextParser()])
def test_pages_of_a_file_have_their_headings(parser: MarkdownParser | TextParser) -> None:
    document = parser.parse(PAGES.encode(), "pages.md")
    headings = [
        (block.level, heading_text(document.text[block.start : block.end]))
        for block in document.blocks
        if block.kind == "heading"
    ]
    assert headings == [(1, "One"), (2, "Part"), (1, "Two"), (2, "Part")]
    assert document.title == "pages"
    assert [block.kind for block in document.blocks].count("paragraph") == 3


def test_the_only_page_gives_the_title() -> None:
    assert MarkdownParser().parse(b"= One =\n\n== A ==\n\nx", "page.md").title == "One"
