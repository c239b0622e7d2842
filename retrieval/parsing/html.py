"""HTML: the main content of a page, with its headings, lists, tables and code as blocks.

trafilatura finds the main content. A page is read whole where it finds too little, where it loses
structure of a page that is mostly main content, or where the page is too large for it. Nothing is
ever fetched: links, images and external entities are ignored.
"""

import codecs
import logging
import re

from lxml import etree, html

from retrieval.errors import EmptyDocument, ParseError
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.html_blocks import add_blocks
from retrieval.parsing.limits import MAX_EXTRACTED_ELEMENTS, MAX_TEXT_CHARS
from retrieval.parsing.normalise import clean, clean_document, decode, one_line, too_long
from retrieval.parsing.refusals import means_no_memory
from retrieval.types import Document

_log = logging.getLogger(__name__)

_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I)
_DECLARED_WITHIN = 4096  # bytes; browsers look at 1,024, saved pages put scripts before it

# Pages name the smaller encoding and use the larger one.
_AS_BROWSERS_DO = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}

# Shorter main content is trafilatura's last resort (its MIN_EXTRACTED_SIZE): all text of the page
# in one line, menus too and headings not always.
_LEAST_MAIN_CHARS = 250

# From this share of a page's text on, what surrounds its main content does little harm.
_MOSTLY_MAIN = 0.75

# What a reader sees as structure, by HTML's names and by trafilatura's ("head" is its heading).
_STRUCTURE = (
    ("h1", "h2", "h3", "h4", "h5", "h6", "head"),
    ("ul", "ol", "list"),
    ("table",),
)

# Left out when a page is read whole: no text for a reader, or the site's frame around it.
_NOT_CONTENT = etree.XPath(
    "//head | //script | //style | //noscript | //template | //nav | //svg | //iframe | //button"
    " | //select | //textarea | //*[@hidden] | //*[@role='navigation']"
)

# A page that says what its main part is needs no guess about what surrounds it.
_BESIDE_MAIN = etree.XPath("//*[self::footer or self::aside][//main][not(ancestor::main)]")


class HtmlParser:
    def parse(self, data: bytes, name: str) -> Document:
        text = clean(decode(data, name, _declared_encoding(data)))
        # Mark-up takes a few times more characters than what it shows.
        if len(text) > 4 * MAX_TEXT_CHARS:
            raise too_long(name)
        tree = _tree(text, name)
        builder = DocumentBuilder(name)
        title = _title(tree)
        add_blocks(builder, _content(tree))
        return builder.build(title, "text/html")


def add_whole_page(builder: DocumentBuilder, text: str, name: str) -> None:
    """All that a page shows, without a search for its main content: an e-mail has no frame."""
    add_blocks(builder, _without_furniture(_tree(clean_document(text, name), name)))


def _declared_encoding(data: bytes) -> str | None:
    """The 8-bit encoding a page names; UTF ones are tried first anyway or known by their mark."""
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    if found is None:
        return None
    try:
        declared = codecs.lookup(found.group(1).decode("ascii")).name
    except LookupError:
        return None
    return None if declared.startswith("utf") else _AS_BROWSERS_DO.get(declared, declared)


def _tree(text: str, name: str) -> html.HtmlElement:
    # Bytes with a stated encoding: lxml refuses strings that carry an XML declaration.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(text.encode(), parser=parser)
    except etree.LxmlError as error:
        if means_no_memory(error):
            raise MemoryError from error
        raise EmptyDocument(f"{name} holds no text. Check that it is the right file.") from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise ParseError(
            f"{name} is nested more than 256 levels deep, so its end cannot be read. "
            "Save the page as plain text and upload that."
        )
    return tree


def _title(tree: html.HtmlElement) -> str:
    """`<title>`, or the only `<h1>` where the title is that heading with the site's name added."""
    title = one_line(tree.findtext(".//title") or "")
    headings = [one_line(h1.text_content()) for h1 in tree.iter("h1")]
    if len(headings) == 1 and headings[0] and (not title or headings[0] in title):
        return headings[0]
    return title


def _content(tree: html.HtmlElement) -> etree._Element:
    if sum(1 for _ in tree.iter()) > MAX_EXTRACTED_ELEMENTS:
        return _without_furniture(tree)
    main = _main_content(tree)
    for element in _BESIDE_MAIN(tree):
        element.drop_tree()
    whole = _without_furniture(tree)
    return whole if main is None or _is_flattened(main, whole) else main


def _is_flattened(main: etree._Element, whole: html.HtmlElement) -> bool:
    """Whether the search lost headings, lists or tables of a page that is mostly its main
    content: then reading it whole adds little of the site's frame."""
    if _num_chars(main) < _MOSTLY_MAIN * _num_chars(whole):
        return False
    return any(_num_of(main, kind) < _num_of(whole, kind) for kind in _STRUCTURE)


def _num_of(root: etree._Element, kind: tuple[str, ...]) -> int:
    return sum(1 for _ in root.iter(*kind))


def _num_chars(element: etree._Element) -> int:
    return len(one_line(" ".join(element.itertext())))


def _without_furniture(tree: html.HtmlElement) -> html.HtmlElement:
    for element in _NOT_CONTENT(tree):
        element.drop_tree()
    return tree


def _main_content(tree: html.HtmlElement) -> etree._Element | None:
    """trafilatura's tree of it; None where it finds none, or less than it trusts itself."""
    import trafilatura

    # It reports a page without main content as an error, though that is an ordinary answer here.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        found = trafilatura.bare_extraction(tree, include_comments=False, favor_recall=True)
    except (AttributeError, IndexError, KeyError, RecursionError, etree.LxmlError) as error:
        _log.warning("main content not found, page read whole: %r", error)
        return None
    if found is None or len((found.text or "").strip()) < _LEAST_MAIN_CHARS:
        return None
    return found.body
