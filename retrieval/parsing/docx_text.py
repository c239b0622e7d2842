"""The words of a DOCX element, as a reader sees them once all changes are accepted.

Knows no styles and no blocks.
"""

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_SAYS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_TEXT = {f"{W}t", f"{_MATHS}t"}
_HIDDEN = {f"{W}{tag}" for tag in ("pPr", "rPr", "tcPr", "tblPr", "del", "moveFrom", "instrText")}
_HIDDEN.add(f"{_COMPATIBILITY}Fallback")  # the same once more, for programs of 2007
_BREAK = f"{W}lastRenderedPageBreak"


def text_of(element: etree._Element) -> str:
    """With a new line after each paragraph inside, those of text boxes included."""
    parts: list[str] = []
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, node in walk:
        if event == "end":
            if node.tag == f"{W}p" and node is not element:
                parts.append("\n")
        elif node.tag in _HIDDEN:
            walk.skip_subtree()
        elif node.tag in _TEXT:
            parts.append(node.text or "")
        else:
            parts.append(_SAYS.get(node.tag, ""))
    return "".join(parts)


def flat_text(element: etree._Element) -> str:
    return " ".join(text_of(element).split())


def leading_page_breaks(element: etree._Element) -> tuple[int, int]:
    """Page breaks before the first word, and all of them."""
    before = breaks = 0
    has_text = False
    for node in element.iter(_BREAK, f"{W}t"):
        if node.tag == _BREAK:
            breaks += 1
            before += not has_text
        elif node.text and node.text.strip():
            has_text = True
    return before, breaks
