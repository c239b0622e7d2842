"""DOCX parser on real files made here."""

import re

import pytest

from retrieval.errors import EmptyDocument
from retrieval.parsing.packages import DOCX
from retrieval.parsing.registry import parse
from tests.fakes.office_files import make_docx, repacked

PART = "word/document.xml"


def read(data: bytes, name: str = "file.bin") -> list[tuple[str, int, str]]:
    document = parse(data, name)
    return [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks]


def with_body(xml: str) -> bytes:
    """A document with that body, in the default template's styles."""
    body = f"<w:body>{xml}</w:body>".encode()
    package = make_docx(("Normal", "gone"))
    pattern = re.compile(rb"<w:body>.*</w:body>", re.DOTALL)
    return repacked(package, {PART: lambda old: pattern.sub(lambda _: body, old)})


def para(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_blocks_in_the_order_of_the_text() -> None:
    data = make_docx(
        ("Title", "The Harbour"),
        ("Heading 1", "Fees"),
        ("Normal", "Ships pay.\nAlways."),
        ("List Bullet", "one"),
        ("List Bullet", "two"),
        ("List Number", "first"),
        ("List Number", "second"),
        ("table", "Ship|Fee\nBarge|5\nYacht|\n|"),
        ("Heading 2", "Winter"),
        ("Normal", "Closed."),
    )
    assert read(data) == [
        ("heading", 1, "The Harbour"),
        ("heading", 1, "Fees"),
        ("paragraph", 0, "Ships pay.\nAlways."),
        ("list", 0, "- one\n- two"),
        ("list", 0, "1. first\n2. second"),
        ("table", 0, "Ship | Fee\nBarge | 5\nYacht | "),
        ("heading", 2, "Winter"),
        ("paragraph", 0, "Closed."),
    ]
    document = parse(data, "x.txt", "text/plain")
    assert (document.title, document.media_type) == ("The Harbour", DOCX)


@pytest.mark.parametrize(
    ("paragraphs", "stated", "title"),
    [
        ([("Heading 1", "Head"), ("Title", "Styled")], "Stated", "Styled"),
        ([("Heading 1", "Head")], "Stated", "Stated"),
        ([("Normal", "x"), ("Heading 2", "Head")], "", "Head"),
        ([("Normal", "x")], "", "file"),
    ],
)
def test_title(paragraphs: list[tuple[str, str]], stated: str, title: str) -> None:
    assert parse(make_docx(*paragraphs, title=stated), "file.docx").title == title


def test_headings_are_known_by_outline_level_in_any_language() -> None:
    style = (
        '<w:style w:type="paragraph" w:styleId="berschrift"><w:name w:val="Kapitel"/>'
        '<w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="eigen"><w:name w:val="Eigen"/>'
        '<w:basedOn w:val="berschrift"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="ring"><w:name w:val="Ring"/>'
        '<w:basedOn w:val="ring"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="toc"><w:name w:val="toc 1"/></w:style>'
    )
    body = with_body(
        para("Contents line", '<w:pStyle w:val="toc"/>')
        + para("Kapitel", '<w:pStyle w:val="eigen"/>')
        + para("Text", '<w:pStyle w:val="eigen"/><w:outlineLvl w:val="9"/>')
        + para("Ring", '<w:pStyle w:val="ring"/>')
        + para("Direct", '<w:outlineLvl w:val="0"/>')
        + para("Odd", '<w:outlineLvl w:val="x"/>')
    )
    styles = {
        "word/styles.xml": lambda old: old.replace(b"</w:styles>", f"{style}</w:styles>".encode())
    }
    assert read(repacked(body, styles)) == [
        ("heading", 3, "Kapitel"),
        ("paragraph", 0, "Text"),
        ("paragraph", 0, "Ring"),
        ("heading", 1, "Direct"),
        ("paragraph", 0, "Odd"),
    ]


def test_changes_are_accepted_and_marks_read() -> None:
    xml = (
        "<w:p><w:pPr><w:tabs><w:tab w:val='left' w:pos='1'/></w:tabs></w:pPr>"
        "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>old</w:delText><w:t>old</w:t></w:r></w:del>"
        "<w:r><w:instrText>PAGE</w:instrText><w:noBreakHyphen/></w:r>"
        "<w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>"
    )
    assert read(with_body(xml)) == [("paragraph", 0, "a\tb\ncnew-link")]


def test_wrapped_paragraphs_frames_and_nested_tables() -> None:
    cell = "<w:tc>{}</w:tc>"
    frame = f"<w:tbl><w:tr>{cell.format(para('In a frame.'))}</w:tr></w:tbl>"
    inner = f"<w:tbl><w:tr>{cell.format(para('x'))}{cell.format(para('y'))}</w:tr></w:tbl>"
    row = f"<w:tr>{cell.format(para('a') + inner)}{cell.format(para('b') + para('c'))}</w:tr>"
    xml = f"<w:sdt><w:sdtContent>{para('Held.')}</w:sdtContent></w:sdt>{frame}<w:tbl>{row}</w:tbl>"
    assert read(with_body(xml)) == [
        ("paragraph", 0, "Held."),
        ("paragraph", 0, "In a frame."),
        ("table", 0, "a x y | b c"),
    ]


def test_nested_lists_count_and_start_anew() -> None:
    def item(text: str, number: int, level: int) -> str:
        shape = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
        return para(text, shape)

    numbering = (
        '<w:abstractNum w:abstractNumId="900"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/>'
        '</w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="901"><w:abstractNumId w:val="900"/></w:num></w:numbering>'
    )
    parts = {"word/numbering.xml": lambda old: old.replace(b"</w:numbering>", numbering.encode())}
    xml = item("a", 901, 0) + item("b", 901, 1) + item("c", 901, 1) + item("d", 901, 0)
    xml += item("e", 901, 1) + item("f", 7777, 0) + item("no item", 0, 0)
    assert read(repacked(with_body(xml), parts)) == [
        ("list", 0, "1. a\n  1. b\n  2. c\n2. d\n  1. e"),
        ("list", 0, "- f"),
        ("paragraph", 0, "no item"),
    ]


def test_pages_where_the_file_knows_them() -> None:
    turn = "<w:r><w:lastRenderedPageBreak/></w:r>"
    xml = (
        para("One")
        + f"<w:p>{turn}<w:r><w:t>Two</w:t></w:r></w:p>"
        + f"<w:p><w:r><w:t>Two to </w:t></w:r>{turn}<w:r><w:t>three</w:t></w:r></w:p>"
        + para("Three")
    )
    assert [block.page for block in parse(with_body(xml), "x").blocks] == [1, 2, 2, 3]
    assert [block.page for block in parse(with_body(para("a")), "x").blocks] == [None]


def test_footnotes_stand_at_the_end() -> None:
    ns = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    notes = (
        f'<w:footnotes xmlns:w="{ns}"><w:footnote w:type="separator"><w:p/></w:footnote>'
        f'<w:footnote w:id="1">{para("A note.")}</w:footnote></w:footnotes>'
    )
    link = (
        '<Relationship Id="rId99" Target="footnotes.xml" Type="http://schemas.openxmlformats.org/'
        'officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    data = repacked(
        make_docx(("Normal", "Text.")),
        {
            "word/_rels/document.xml.rels": lambda old: old.replace(
                b"</Relationships>", link.encode()
            )
        },
        {"word/footnotes.xml": notes.encode()},
    )
    assert read(data) == [("paragraph", 0, "Text."), ("paragraph", 0, "A note.")]


def test_empty() -> None:
    with pytest.raises(EmptyDocument):
        parse(make_docx(), "x.docx")
