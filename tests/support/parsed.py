"""What every parser promises of every document."""

from itertools import pairwise

from retrieval.parsing.normalise import clean
from retrieval.types import Document


def check(document: Document) -> None:
    """Blocks are ordered, apart, inside the text, and hold all that can be seen."""
    text, blocks = document.text, document.blocks
    assert document.title
    assert clean(text) == text
    assert blocks
    assert blocks[0].start >= 0
    assert blocks[-1].end <= len(text)
    for block in blocks:
        assert text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind == "heading")
    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    gaps = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
    assert not "".join(text[start:end] for start, end in gaps).strip()
    assert all(left.end <= right.start for left, right in pairwise(blocks))
