"""HTML parser: main content, blocks, encodings, hostile pages."""

import pytest
from lxml import etree

from retrieval.errors import EmptyDocument, ParseError
from retrieval.parsing import html as html_parser
from retrieval.parsing import html_blocks
from retrieval.parsing.registry import parse

PAGE = """<!DOCTYPE html><html><head><title>Bread - The Bakery</title><style>p{}</style></head>
<body><nav><a href="/">Home</a> <a href="/shop">Shop</a></nav><main><h1>Bread</h1>
<p>Bread needs <b>time</b>, flour,<br>water and salt; a good loaf rests overnight.<!-- no --></p>
<h2>Making it</h2><ol><li>Mix</li><li>Knead <ul><li>by hand</li></ul></li></ol>
<table><tr><th>Part</th><th>Gram</th></tr><tr><td>Flour</td><td>500</td></tr></table>
<pre><code>def bake():
    return "bread"
</code></pre><blockquote><p>Give us this day our daily bread.</p></blockquote></main>
<footer>All rights reserved</footer><script>var x = "never";</script></body></html>"""


def read(text: str) -> list[tuple[str, int, str]]:
    document = parse(text.encode(), "page.html")
    return [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks]


def test_main_content() -> None:
    assert read(PAGE) == [
        ("heading", 1, "Bread"),
        (
            "paragraph",
            0,
            "Bread needs time, flour,\nwater and salt; a good loaf rests overnight.",
        ),
        ("heading", 2, "Making it"),
        ("list", 0, "1. Mix\n2. Knead\n  - by hand"),
        ("table", 0, "Part | Gram\nFlour | 500"),
        ("code", 0, 'def bake():\n    return "bread"'),
        ("paragraph", 0, "Give us this day our daily bread."),
    ]


def test_whole_page_reads_the_same_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(PAGE)
    monkeypatch.setattr(html_parser, "MAX_EXTRACTED_ELEMENTS", 0)
    assert read(PAGE) == [*expected, ("paragraph", 0, "All rights reserved")]


def test_failing_extraction_reads_the_whole_page(monkeypatch: pytest.MonkeyPatch) -> None:
    import trafilatura

    def fail(*args: object, **options: object) -> None:
        raise AttributeError("as happens on odd trees")

    monkeypatch.setattr(trafilatura, "bare_extraction", fail)
    assert read("<p>Hello <i>you</i>.</p><div hidden>no</div>") == [("paragraph", 0, "Hello you.")]


SMALL = """<nav><a href="/">Home</a> | <a href="/about">About</a></nav><h1>Heron page</h1>
<script>var seen = 1;</script>{prose}<table><tr><th>Gauge</th><th>Level</th></tr>
<tr><td>Weir</td><td>42</td></tr></table><ul><li>Item one</li><li>Item two</li></ul>
<h2>Keeper</h2><p>Ann Reed</p><footer>Contact 555-1234</footer>"""


@pytest.mark.parametrize("times", [0, 1, 4, 20], ids=lambda times: f"{times} sentences")
def test_small_pages_keep_their_structure(times: int) -> None:
    prose = "The keeper rings the bell before every boat that comes through the lock. " * times
    paragraph = [("paragraph", 0, prose.strip())] if prose else []
    assert read(SMALL.format(prose=f"<p>{prose}</p>"))[: 5 + bool(prose)] == [
        ("heading", 1, "Heron page"),
        *paragraph,
        ("table", 0, "Gauge | Level\nWeir | 42"),
        ("list", 0, "- Item one\n- Item two"),
        ("heading", 2, "Keeper"),
        ("paragraph", 0, "Ann Reed"),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<h1>Otter lock</h1><p>It opens at 7:15 daily.</p>",
        "<html><head><title>Locks</title></head><body><h1>Otter lock</h1><script>var a;</script>"
        "<p>It opens at 7:15 daily.</p></body></html>",
        "<div role=navigation>Home</div><main><h1>Otter lock</h1><p>It opens at 7:15 daily.</p>"
        "</main><aside>Read this too</aside><footer>All rights reserved</footer>",
    ],
)
def test_a_heading_and_a_sentence(page: str) -> None:
    assert read(page) == [("heading", 1, "Otter lock"), ("paragraph", 0, "It opens at 7:15 daily.")]


def test_contact_at_the_foot_of_a_small_page_is_read() -> None:
    assert read(SMALL.format(prose=""))[-1] == ("paragraph", 0, "Contact 555-1234")


def test_frame_of_a_large_page_stays_out() -> None:
    links = "".join(f"<div><a href=/{i}>See also page number {i}</a></div>" for i in range(300))
    article = "".join(f"<p>The keeper rings bell {i} before every boat.</p>" for i in range(40))
    page = f"<h1>Lock</h1><article>{article}</article><div class=sidebar>{links}</div>"
    assert "See also" not in " ".join(text for _, _, text in read(page))


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>Bread - The Bakery</title><h1>Bread</h1>", "Bread"),
        ("<title>The Bakery</title><h1>Bread</h1>", "The Bakery"),
        ("<h1>Bread</h1>", "Bread"),
        ("<title>A B</title><h1>A</h1><h1>B</h1>", "A B"),
        ("", "page"),
    ],
)
def test_title(head: str, title: str) -> None:
    assert parse(f"<html>{head}<p>Some text.".encode(), "page.html").title == title


def test_layout_tables_and_lists_are_walked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_parser, "MAX_EXTRACTED_ELEMENTS", 0)
    assert read(
        "<table><tr><td>one<table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"
        "<table><tr><td>single</td></tr></table>"
        "<ul><li><h3>Head</h3>text</li></ul>"
        "<table><caption>Sizes</caption><tr><td>x</td><td></td></tr><tr><td></td><td></td></tr>"
        "</table><dl><dt>term</dt><dd>meaning</dd></dl><pre>a<br>b</pre>"
        "<p>x <code>inline</code> y</p>"
    ) == [
        ("paragraph", 0, "one"),
        ("table", 0, "a | b"),
        ("paragraph", 0, "single"),
        ("heading", 3, "Head"),
        ("paragraph", 0, "text"),
        ("table", 0, "Sizes\nx | "),
        ("paragraph", 0, "term"),
        ("paragraph", 0, "meaning"),
        ("code", 0, "a\nb"),
        ("paragraph", 0, "x inline y"),
    ]


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("iso-8859-1", "cp1252"),
        ("iso-8859-2", "iso-8859-2"),
        ("gb2312", "gb18030"),
        ("utf-16", "cp1252"),
        ("no-such-thing", "cp1252"),
    ],
)
def test_declared_encoding(charset: str, encoding: str) -> None:
    word = {"iso-8859-2": "Příliš", "gb18030": "中文内容"}.get(encoding, "“Café”")
    page = f"<html><meta charset={charset}><p>The word is {word} and nothing else.</html>"
    assert word in parse(page.encode(encoding), "page.html").text


def test_declared_encoding_that_does_not_fit() -> None:
    with pytest.raises(ParseError, match="shift_jis"):
        parse(b"<html><meta charset=shift_jis><p>\x80\xa0\xfd\xfe</html>", "page.html")


def test_xml_declaration() -> None:
    page = '<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>Café text</p></body></html>'
    assert parse(page.encode(), "page.xhtml").text == "Café text"


@pytest.mark.parametrize("page", ["<html></html>", "<html><body><script>x</script></body>"])
def test_nothing_to_read(page: str) -> None:
    with pytest.raises(EmptyDocument):
        parse(page.encode(), "page.html")


def test_comment_alone_is_empty() -> None:
    with pytest.raises(EmptyDocument):
        html_parser.HtmlParser().parse(b"<!-- -->", "page.html")


def test_too_deep_is_said_and_not_cut_silently() -> None:
    with pytest.raises(ParseError, match="256 levels"):
        parse(b"<html><body>" + b"<div>" * 5_000 + b"deep down", "page.html")


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_parser, "MAX_TEXT_CHARS", 10)
    with pytest.raises(ParseError, match="Split it"):
        parse(b"<html><p>" + b"word " * 20, "page.html")


def test_many_elements_stay_linear() -> None:
    document = parse(b"<html><ul>" + b"<li>x" * 60_000, "page.html")
    assert [block.kind for block in document.blocks] == ["list"]


def test_names_of_containers_are_no_headings() -> None:
    assert not html_blocks._CONTAINERS & set(html_blocks._HEADINGS)


def test_memory_that_ends_is_no_empty_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise etree.XMLSyntaxError("unknown error", etree.ErrorTypes.ERR_NO_MEMORY, 0, 0)

    monkeypatch.setattr(html_parser.html, "document_fromstring", fail)
    with pytest.raises(MemoryError):
        parse(b"<html><p>text", "page.html")
