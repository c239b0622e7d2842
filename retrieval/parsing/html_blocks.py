"""Element tree to blocks, for HTML and for the TEI-like tree that trafilatura returns.

Walks with an explicit stack, so deep nesting costs memory and no recursion. Knows no encodings and
no main-content rules.
"""

import re
from collections.abc import Iterator

from lxml import etree

from retrieval.parsing.builder import DocumentBuilder

# HTML names first, then trafilatura's.
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = {"ul", "ol", "menu", "list"}
_ITEMS = {"li", "item"}
_ROWS = ("tr", "row")
_CELLS = {"td", "th", "cell"}
_BREAKS = {"br", "lb", "hr"}
_CONTAINERS = {
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details"),
    *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "html"),
    *(
        "li",
        "main",
        "p",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
    ),
    *("cell", "item", "quote", "row", "list", "ul", "ol", "menu"),
}


def add_blocks(builder: DocumentBuilder, root: etree._Element) -> None:
    _Walker(builder).walk(root)


class _Walker:
    def __init__(self, builder: DocumentBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []  # text of the paragraph being read

    def walk(self, root: etree._Element) -> None:
        stack: list[etree._Element | str | None] = [root]  # None ends a container
        while stack:
            item = stack.pop()
            if item is None:
                self._flush()
            elif isinstance(item, str):
                self._inline.append(_collapse(item))
            elif item.tag in _BREAKS:
                self._inline.append("\n")
            elif not self._add_block(item):
                if item.tag in _CONTAINERS:
                    self._flush()
                    stack.append(None)
                stack.extend(_contents_reversed(item))
        self._flush()

    def _add_block(self, element: etree._Element) -> bool:
        """Emit an element that is one block; false for what has to be walked into."""
        level = _heading_level(element)
        if level:
            self._flush()
            self._builder.add("heading", _flat_text(element), level=level)
        elif element.tag in _LISTS and not _holds_blocks(element):
            self._flush()
            self._builder.add("list", _list_text(element))
        elif element.tag == "table" and _is_data_table(element):
            self._flush()
            self._builder.add("table", _table_text(element))
        elif element.tag == "pre" or (element.tag == "code" and "\n" in _verbatim(element)):
            self._flush()
            self._builder.add("code", _verbatim(element))
        else:
            return False
        return True

    def _flush(self) -> None:
        text = re.sub(r" *\n *", "\n", _spaced("".join(self._inline)))
        self._inline.clear()
        self._builder.add("paragraph", text.strip())


def _contents_reversed(element: etree._Element) -> Iterator[etree._Element | str]:
    for child in reversed(element):
        if child.tail:
            yield child.tail
        if isinstance(child.tag, str):
            yield child
    if element.text:
        yield element.text


def _heading_level(element: etree._Element) -> int:
    if element.tag == "head":  # trafilatura's; HTML's own is never walked into
        return _HEADINGS.get(element.get("rend", ""), 2)
    return _HEADINGS.get(element.tag, 0)


def _holds_blocks(element: etree._Element) -> bool:
    """Whether a list is page layout: headings, tables or code inside its items."""
    return next(element.iter(*_HEADINGS, "head", "table", "pre"), None) is not None


def _is_data_table(table: etree._Element) -> bool:
    """Neither a frame around other tables nor a single column: those are page layout."""
    if next(table.iterdescendants("table", *_HEADINGS, "pre"), None) is not None:
        return False
    return any(sum(cell.tag in _CELLS for cell in row) > 1 for row in table.iter(*_ROWS))


def _table_text(table: etree._Element) -> str:
    caption = [_flat_text(found) for found in table.iterchildren("caption")]
    rows = [
        " | ".join(_flat_text(cell) for cell in row if cell.tag in _CELLS)
        for row in table.iter(*_ROWS)
    ]
    return "\n".join(line for line in caption + rows if line.strip(" |"))


def _list_text(root: etree._Element) -> str:
    """One line an item, nested lists indented by two spaces a level."""
    parts: list[str] = []
    counters: list[int | None] = []  # next number of each open list, None where it has none
    for event, element in etree.iterwalk(root, events=("start", "end")):
        is_list = element.tag in _LISTS
        if event == "start":
            if is_list:
                is_numbered = element.tag == "ol" or element.get("rend") == "ol"
                counters.append(1 if is_numbered else None)
            elif element.tag in _ITEMS:
                parts.append("\n" + _marker(counters))
            parts.append(_collapse(element.text or ""))
        else:
            if is_list:
                counters.pop()
            if element.tag in _CONTAINERS or element.tag in _BREAKS:
                parts.append(" ")
            if element is not root:
                parts.append(_collapse(element.tail or ""))
    lines = "".join(parts).split("\n")
    indents = (re.match(" *", line) for line in lines)
    tidy = [
        (indent.group() if indent else "") + _spaced(line).strip()
        for line, indent in zip(lines, indents, strict=True)
    ]
    return "\n".join(line for line in tidy if line.strip(" -"))


def _marker(counters: list[int | None]) -> str:
    indent = "  " * (len(counters) - 1)
    number = counters[-1]
    if number is None:
        return f"{indent}- "
    counters[-1] = number + 1
    return f"{indent}{number}. "


def _flat_text(element: etree._Element) -> str:
    """All text on one line; neighbouring blocks and line breaks become a space."""
    parts: list[str] = []
    for event, part in etree.iterwalk(element, events=("start", "end")):
        if part.tag in _CONTAINERS or part.tag in _BREAKS:
            parts.append(" ")
        if event == "start":
            parts.append(part.text or "")
        elif part is not element:
            parts.append(part.tail or "")
    return " ".join("".join(parts).split())


def _verbatim(element: etree._Element) -> str:
    parts: list[str] = []
    for event, part in etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            parts.append("\n" if part.tag in _BREAKS else part.text or "")
        elif part is not element:
            parts.append(part.tail or "")
    return "".join(parts)


def _collapse(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _spaced(text: str) -> str:
    return re.sub(r" {2,}", " ", text)
