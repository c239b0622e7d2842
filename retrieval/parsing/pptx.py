"""PPTX: each slide a heading with what stands on it, tables and notes included, by slide number.

Pictures, charts and what slides have in common (dates, numbers, footers) are left out.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.normalise import one_line
from retrieval.parsing.packages import PPTX, read_package
from retrieval.types import BlockKind, Document

if TYPE_CHECKING:
    from pptx.slide import Slide
    from pptx.text.text import TextFrame

_NO_TITLE = "powerpoint presentation"  # what the program fills in by itself


class PptxParser:
    def parse(self, data: bytes, name: str) -> Document:
        return read_package(data, name, PPTX, "a PPTX presentation", _read)


def _read(data: bytes, builder: DocumentBuilder) -> str:
    import pptx

    presentation = pptx.Presentation(BytesIO(data))
    title = str(presentation.core_properties.title or "")
    if title.casefold() == _NO_TITLE:
        title = ""
    for number, slide in enumerate(presentation.slides, start=1):
        heading = _add_slide(builder, slide, number)
        title = title or heading
    return title


def _add_slide(builder: DocumentBuilder, slide: "Slide", number: int) -> str:
    """Returns the slide's own title. One without gets its number, so as not to hang under the
    title of the slide before; one without a word is left out."""
    head = slide.shapes.title
    heading = "" if head is None else one_line(head.text_frame.text)
    found = _blocks(slide, None if head is None else head.shape_id)
    blocks = [(kind, text) for kind, text in found if text]
    if heading or blocks:
        builder.add("heading", heading or f"Slide {number}", level=1, page=number)
    for kind, text in blocks:
        builder.add(kind, text, page=number)
    return heading


def _blocks(slide: "Slide", head_id: int | None) -> Iterator[tuple[BlockKind, str]]:
    for shape in _shapes(slide.shapes):
        if shape.shape_id == head_id:
            continue
        if shape.has_text_frame:
            yield from _texts(shape.text_frame, bool(shape.is_placeholder))
        elif getattr(shape, "has_table", False):
            rows = ([one_line(cell.text) for cell in row.cells] for row in shape.table.rows)
            yield "table", "\n".join(" | ".join(row) for row in rows if any(row))
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and notes.text.strip():
        yield "paragraph", f"Notes: {notes.text.strip()}"


# The library's classes of shapes have no common base that knows what they hold.
def _shapes(shapes: Any) -> Iterator[Any]:
    """All shapes in the file's order, those of groups included."""
    from pptx.enum.shapes import PP_PLACEHOLDER

    furniture = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER)
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in furniture):
            yield shape


def _texts(frame: "TextFrame", is_body: bool) -> Iterator[tuple[BlockKind, str]]:
    """Several paragraphs of a slide's body are its bullets; those of a text box are prose."""
    shown = [paragraph for paragraph in frame.paragraphs if paragraph.text.strip()]
    if is_body and len(shown) > 1:
        lines = (f"{'  ' * item.level}- {one_line(item.text)}" for item in shown)
        yield "list", "\n".join(lines)
    else:
        for paragraph in shown:
            yield "paragraph", paragraph.text.strip()
