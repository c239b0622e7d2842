"""Markdown: headings, lists, tables and code found line by line; the text stays as written.

One pass over the lines, so neither nesting nor size can blow it up. Inline markup is left alone:
the language model reads it, and a citation shows what the author typed.
"""

import re
from collections.abc import Callable, Sequence

from retrieval.parsing.builder import finished
from retrieval.parsing.normalise import clean_document, decode
from retrieval.parsing.text import Line, lines_of
from retrieval.parsing.wiki import wiki_heading
from retrieval.types import Block, BlockKind, Document

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_INDENTED = re.compile(r"(?: {4}|\t)")
_BREAK = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_FRONT_TITLE = re.compile(r"title[ \t]*:[ \t]*(.+)$", re.IGNORECASE)


class MarkdownParser:
    def parse(self, data: bytes, name: str) -> Document:
        text = clean_document(decode(data, name), name)
        title, text = _split_front_matter(text)
        lines = lines_of(text)
        blocks = _BlockScanner(lines).scan()
        return finished(title or _first_heading(blocks, text), text, "text/markdown", blocks, name)


def _split_front_matter(text: str) -> tuple[str, str]:
    """Title and text without a leading `---` block of metadata, which nobody wants cited."""
    if not text.startswith("---\n"):
        return "", text
    end = text.find("\n---\n", 3)
    if end < 0:
        return "", text
    titles = (_FRONT_TITLE.match(line) for line in text[4:end].split("\n"))
    title = next((found.group(1).strip().strip("\"'") for found in titles if found), "")
    return title, text[end + len("\n---\n") :]


def _first_heading(blocks: Sequence[Block], text: str) -> str:
    """Its words; of a wiki's page only where it is the only page of the file."""
    headings = [block for block in blocks if block.kind == "heading"]
    if not headings:
        return ""
    first = text[headings[0].start : headings[0].end]
    are_pages = any(block.level <= headings[0].level for block in headings[1:])
    return "" if are_pages and wiki_heading(first) else heading_text(first)


def heading_text(source: str) -> str:
    """The words of a heading without its marks. Fit for headings of other formats as well."""
    first = source.split("\n", 1)[0]
    marks = _HEADING.match(first)
    if marks is None:
        wiki = wiki_heading(first)
        return first.strip() if wiki is None else wiki[1]
    words = first[marks.end() :].strip()
    opened = words.rstrip("#")
    return opened.rstrip() if opened[-1:].isspace() else words


class _BlockScanner:
    """Reads one block after the other; `_at` is the line that comes next."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._at = 0
        self._blocks: list[Block] = []

    def scan(self) -> list[Block]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.text.strip():
                self._at += 1
            elif fence := _FENCE.match(line.text):
                self._emit("code", self._end_of_fence(fence.group(1)))
            elif heading := _HEADING.match(line.text):
                self._emit("heading", self._at + 1, level=len(heading.group(1)))
            elif wiki := wiki_heading(line.text):
                self._emit("heading", self._at + 1, level=wiki[0])
            elif self._is_table(self._at):
                self._emit("table", self._end_while(lambda text: "|" in text))
            elif _ITEM.match(line.text) and not _BREAK.match(line.text):
                self._emit("list", self._end_of_list())
            elif _INDENTED.match(line.text):
                self._emit("code", self._end_while(lambda text: bool(_INDENTED.match(text))))
            else:
                self._emit_paragraph()
        return self._blocks

    def _emit(self, kind: BlockKind, end: int, level: int = 0) -> None:
        first, last = self._lines[self._at], self._lines[end - 1]
        self._blocks.append(Block(kind, first.start, last.end, level))
        self._at = end

    def _emit_paragraph(self) -> None:
        end = self._at + 1
        while end < len(self._lines):
            text = self._lines[end].text
            if underline := _UNDERLINE.match(text):
                self._emit("heading", end + 1, level=1 if underline.group(1)[0] == "=" else 2)
                return
            if not text.strip() or self._starts_block(end):
                break
            end += 1
        self._emit("paragraph", end)

    def _starts_block(self, at: int) -> bool:
        text = self._lines[at].text
        starts = any(pattern.match(text) for pattern in (_FENCE, _HEADING, _ITEM))
        return starts or wiki_heading(text) is not None or self._is_table(at)

    def _is_table(self, at: int) -> bool:
        """A line with a bar above a line of bars and dashes."""
        if at + 1 >= len(self._lines) or "|" not in self._lines[at].text:
            return False
        ruler = self._lines[at + 1].text
        return "|" in ruler and "-" in ruler and not ruler.strip(" \t|:-")

    def _end_while(self, belongs: Callable[[str], bool]) -> int:
        end = self._at + 1
        while end < len(self._lines) and belongs(self._lines[end].text):
            end += 1
        return end

    def _end_of_fence(self, marks: str) -> int:
        for end in range(self._at + 1, len(self._lines)):
            text = self._lines[end].text.strip()
            if len(text) >= len(marks) and not text.strip(marks[0]):
                return end + 1
        return self._last_visible(len(self._lines))

    def _end_of_list(self) -> int:
        """Up to a line that starts something else, or a blank line not followed by the list."""
        end = self._at + 1
        while end < len(self._lines):
            text = self._lines[end].text
            if (
                _HEADING.match(text)
                or wiki_heading(text)
                or (_FENCE.match(text) and not text[0].isspace())
            ):
                break
            if not text.strip() and not self._list_goes_on(end + 1):
                break
            end += 1
        return self._last_visible(end)

    def _list_goes_on(self, at: int) -> bool:
        if at >= len(self._lines):
            return False
        text = self._lines[at].text
        return bool(_ITEM.match(text)) or (text[:1].isspace() and bool(text.strip()))

    def _last_visible(self, end: int) -> int:
        while not self._lines[end - 1].text.strip():
            end -= 1
        return end
