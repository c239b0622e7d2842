"""The headings of a document as a tree of sections. Knows no tokens."""

from dataclasses import dataclass, field

from retrieval.parsing.markdown import heading_text
from retrieval.types import Block, Document


@dataclass(slots=True)
class Section:
    """A heading with what stands under it; the root has no heading. Filled by `section_tree`."""

    path: tuple[str, ...]
    level: int
    body: list[Block] = field(default_factory=list)  # the heading first
    children: list["Section"] = field(default_factory=list)


def section_tree(document: Document) -> Section:
    root = Section((), 0)
    open_sections = [root]
    for block in document.blocks:
        if block.kind != "heading":
            open_sections[-1].body.append(block)
            continue
        level = min(max(block.level, 1), 6)  # also bounds the depth of every walk over the tree
        while open_sections[-1].level >= level:
            open_sections.pop()
        parent = open_sections[-1]
        heading = heading_text(document.text[block.start : block.end])
        section = Section((*parent.path, heading), level, [block])
        parent.children.append(section)
        open_sections.append(section)
    return root
