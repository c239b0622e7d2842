"""Puts a document together block by block and keeps the spans right.

For formats whose blocks are found one after the other (HTML, PDF). Formats that are their own text
(plain text, Markdown) mark spans in place instead. Knows no format.
"""

from retrieval.errors import EmptyDocument
from retrieval.parsing.limits import MAX_TEXT_CHARS, MAX_TITLE_CHARS
from retrieval.parsing.normalise import clean, is_visible, one_line, too_long
from retrieval.types import Block, BlockKind, Document

_SEPARATOR = "\n\n"


class DocumentBuilder:
    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._num_chars = 0

    def add(self, kind: BlockKind, text: str, *, level: int = 0, page: int | None = None) -> None:
        """Append a block. Text without a visible character is left out."""
        text = clean(text).strip("\n")
        if not text.strip():
            return
        start = self._num_chars + (len(_SEPARATOR) if self._parts else 0)
        self._num_chars = start + len(text)
        if self._num_chars > MAX_TEXT_CHARS:
            raise too_long(self._name)
        self._parts.append(text)
        self._blocks.append(Block(kind, start, self._num_chars, level, page))

    def build(self, title: str, media_type: str) -> Document:
        return finished(title, _SEPARATOR.join(self._parts), media_type, self._blocks, self._name)


def finished(title: str, text: str, media_type: str, blocks: list[Block], name: str) -> Document:
    if not blocks or not is_visible(text):
        raise EmptyDocument(f"{name} holds no text. Check that it is the right file.")
    return Document(title_or_name(title, name), text, media_type, tuple(blocks))


def title_or_name(title: str, name: str) -> str:
    """The title on one line, or the file's name without folder and ending."""
    stem = one_line(name.replace("\\", "/").rsplit("/", 1)[-1])
    if "." in stem.strip("."):
        stem = stem.rsplit(".", 1)[0]
    return (one_line(title) or stem or "Untitled")[:MAX_TITLE_CHARS].rstrip()
