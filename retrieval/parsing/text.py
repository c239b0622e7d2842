"""Plain text: paragraphs between blank lines, and the headings of a wiki's page."""

from dataclasses import dataclass

from retrieval.parsing.builder import finished
from retrieval.parsing.normalise import clean_document, decode
from retrieval.parsing.wiki import wiki_heading
from retrieval.types import Block, Document


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text, without its newline; `start` and `end` index into the text."""

    start: int
    end: int
    text: str


def lines_of(text: str) -> list[Line]:
    lines, start = [], 0
    for content in text.split("\n"):
        lines.append(Line(start, start + len(content), content))
        start += len(content) + 1
    return lines


class TextParser:
    def parse(self, data: bytes, name: str) -> Document:
        text = clean_document(decode(data, name), name)
        return finished("", text, "text/plain", _paragraphs(text), name)


def _paragraphs(text: str) -> list[Block]:
    blocks: list[Block] = []
    is_open = False
    for line in lines_of(text):
        if not line.text.strip():
            is_open = False
        elif wiki := wiki_heading(line.text):
            blocks.append(Block("heading", line.start, line.end, wiki[0]))
            is_open = False
        elif is_open:
            blocks[-1] = Block("paragraph", blocks[-1].start, line.end)
        else:
            blocks.append(Block("paragraph", line.start, line.end))
            is_open = True
    return blocks
