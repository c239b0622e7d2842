"""What the style of a DOCX paragraph says: heading, item of a list, title. Knows no blocks.

Styles have names in the writer's language, so headings are known by their outline level first.
"""

import re
from dataclasses import dataclass

from lxml import etree

from retrieval.parsing.docx_text import W

_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_MAX_BASES = 20  # styles a style may build on; a file may make them build on each other in a ring
_NO_OUTLINE = 9  # the level of body text


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    heading_level: int = 0  # 1 is the highest; 0: no heading
    list_id: str = ""
    list_level: int = 0
    is_title: bool = False
    is_contents: bool = False  # a line of a table of contents


class Styles:
    def __init__(self, styles: etree._Element) -> None:
        self._by_id = {style.get(f"{W}styleId"): style for style in styles.iter(f"{W}style")}
        self._default = next(
            (
                style.get(f"{W}styleId")
                for style in styles.iter(f"{W}style")
                if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") == "1"
            ),
            None,
        )

    def of(self, paragraph: etree._Element) -> ParagraphStyle:
        properties = paragraph.find(f"{W}pPr")
        style_id = self._default if properties is None else _value(properties, "pStyle")
        chain = self._chain(style_id or self._default)
        names = [_value(style, "name").lower() for style in chain]
        if names and (names[0].startswith("toc ") or names[0] == "table of figures"):
            return ParagraphStyle(is_contents=True)
        sources = [properties, *(style.find(f"{W}pPr") for style in chain)]
        found = [source for source in sources if source is not None]
        level = _outline(found) or _named_level(names)
        if level:
            return ParagraphStyle(heading_level=level, is_title="title" in names[:1])
        if "title" in names[:1]:
            return ParagraphStyle(heading_level=1, is_title=True)
        list_id, list_level = _list_of(found)
        return ParagraphStyle(list_id=list_id, list_level=list_level)

    def _chain(self, style_id: str | None) -> list[etree._Element]:
        """A style and those it builds on."""
        chain: list[etree._Element] = []
        while style_id in self._by_id and len(chain) < _MAX_BASES:
            chain.append(self._by_id[style_id])
            style_id = _value(chain[-1], "basedOn")
        return chain


class Numbering:
    """Counts the items of numbered lists."""

    def __init__(self, numbering: etree._Element | None) -> None:
        self._formats: dict[tuple[str, int], str] = {}
        self._counts: dict[str, dict[int, int]] = {}
        if numbering is None:
            return
        levels = {
            abstract.get(f"{W}abstractNumId"): {
                _number(level.get(f"{W}ilvl")): _value(level, "numFmt")
                for level in abstract.iter(f"{W}lvl")
            }
            for abstract in numbering.iter(f"{W}abstractNum")
        }
        for number in numbering.iter(f"{W}num"):
            for level, shape in levels.get(_value(number, "abstractNumId"), {}).items():
                self._formats[number.get(f"{W}numId") or "", level] = shape

    def marker(self, list_id: str, level: int) -> str:
        indent = "  " * level
        if self._formats.get((list_id, level), "bullet") in {"bullet", "none", ""}:
            return f"{indent}- "
        counts = self._counts.setdefault(list_id, {})
        counts[level] = counts.get(level, 0) + 1
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        return f"{indent}{counts[level]}. "


def _outline(sources: list[etree._Element]) -> int:
    for source in sources:
        value = _value(source, "outlineLvl")
        if value:
            level = _number(value, _NO_OUTLINE)
            return 0 if level >= _NO_OUTLINE else level + 1
    return 0


def _named_level(names: list[str]) -> int:
    found = (_HEADING.fullmatch(name) for name in names)
    return next((int(match.group(1)) for match in found if match), 0)


def _list_of(sources: list[etree._Element]) -> tuple[str, int]:
    """The nearest list that is stated; 0 is how a paragraph leaves the list of its style."""
    for source in sources:
        properties = source.find(f"{W}numPr")
        if properties is not None and (list_id := _value(properties, "numId")):
            level = min(max(_number(_value(properties, "ilvl")), 0), _NO_OUTLINE - 1)
            return ("", 0) if list_id == "0" else (list_id, level)
    return "", 0


def _value(element: etree._Element, tag: str) -> str:
    child = element.find(f"{W}{tag}")
    return "" if child is None else child.get(f"{W}val") or ""


def _number(value: str | None, default: int = 0) -> int:
    return int(value) if value and value.isdecimal() and len(value) < 4 else default
