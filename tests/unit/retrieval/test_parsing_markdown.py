"""Markdown parser: which blocks are found where."""

import pytest

from retrieval.errors import EmptyDocument
from retrieval.parsing.markdown import heading_text
from retrieval.parsing.registry import parse
from retrieval.types import Document

SAMPLE = """\
---
title: "Bread and water"
date: today
---
# Bread

Intro with **bold**
over two lines.

Setext
------
- flour
- water

  still the item

1. bake
```python
# not a heading

print(1)
```
| a | b |
|---|--:|
| 1 | 2 |
after the table

    indented code
* * *
## Closed ##
"""


def md(text: str, name: str = "note.md") -> Document:
    return parse(text.encode(), name)


def test_blocks() -> None:
    document = md(SAMPLE)
    found = [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks]
    assert found == [
        ("heading", 1, "# Bread"),
        ("paragraph", 0, "Intro with **bold**\nover two lines."),
        ("heading", 2, "Setext\n------"),
        ("list", 0, "- flour\n- water\n\n  still the item\n\n1. bake"),
        ("code", 0, "```python\n# not a heading\n\nprint(1)\n```"),
        ("table", 0, "| a | b |\n|---|--:|\n| 1 | 2 |"),
        ("paragraph", 0, "after the table"),
        ("code", 0, "    indented code"),
        ("paragraph", 0, "* * *"),
        ("heading", 2, "## Closed ##"),
    ]
    assert document.title == "Bread and water"
    assert document.media_type == "text/markdown"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("text only", "note"),
        ("intro\n\n## Second ##\n\n# First", "Second"),
        ("---\nno end of the front matter", "note"),
        ("---\nauthor: me\n---\n# Head", "Head"),
    ],
)
def test_title(text: str, title: str) -> None:
    assert md(text).title == title


def test_fence_without_end_takes_the_rest() -> None:
    document = md("```\ncode\n\n# still code\n\n")
    assert [(b.kind, b.end) for b in document.blocks] == [("code", 22)]


def test_list_ends_at_blank_line_before_other_text() -> None:
    kinds = [b.kind for b in md("- a\n\nparagraph\n\n- b\n# Head\n").blocks]
    assert kinds == ["list", "paragraph", "list", "heading"]


def test_list_at_the_end_of_the_text() -> None:
    assert [b.kind for b in md("- a\n\n").blocks] == ["list"]


def test_table_right_below_a_paragraph() -> None:
    kinds = [b.kind for b in md("Fees:\n| a | b |\n|---|---|\n| 1 | 2 |\n").blocks]
    assert kinds == ["paragraph", "table"]


@pytest.mark.parametrize(
    ("heading", "words"),
    [("## A b ##", "A b"), ("# C#", "C#"), ("#", ""), ("# ##", "##"), ("Words\n===", "Words")],
)
def test_heading_text(heading: str, words: str) -> None:
    assert heading_text(heading) == words


@pytest.mark.parametrize(
    "line",
    ["|" + " " * 300_000 + "-x", "# a" + " " * 300_000 + "x", "-" * 300_000 + "x", "- " * 200_000],
)
def test_no_line_takes_longer_than_its_length(line: str) -> None:
    assert len(md(f"a | b\n{line}\nend").blocks) >= 1


def test_front_matter_alone_is_empty() -> None:
    with pytest.raises(EmptyDocument):
        md("---\ntitle: x\n---\n")


def test_deep_nesting_is_linear() -> None:
    assert len(md("> " * 200_000 + "end").blocks) == 1
    assert len(md("\n".join(" " * depth + "- x" for depth in range(2_000))).blocks) == 1
