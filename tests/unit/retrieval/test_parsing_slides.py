"""PPTX parser on real files made here."""

import pytest

from retrieval.errors import EmptyDocument
from retrieval.parsing.packages import PPTX
from retrieval.parsing.registry import parse
from tests.fakes.office_files import make_pptx, two_slides


def test_slides() -> None:
    document = parse(make_pptx(two_slides), "deck.zip")
    shown = [(b.kind, b.level, b.page, document.text[b.start : b.end]) for b in document.blocks]
    assert shown == [
        ("heading", 1, 1, "Harbour"),
        ("list", 0, 1, "- Winter\n  - Spring"),
        ("heading", 1, 2, "Slide 2"),
        ("paragraph", 0, 2, "Free text."),
        ("paragraph", 0, 2, "More."),
        ("table", 0, 2, "Ship | Fee\nBarge | 5"),
        ("paragraph", 0, 2, "In a group."),
        ("paragraph", 0, 2, "Notes: Say it slowly."),
    ]
    assert (document.title, document.media_type) == ("Harbour", PPTX)


def test_a_show_of_pictures_holds_no_text() -> None:
    def fill(presentation: object) -> None:
        presentation.slides.add_slide(presentation.slide_layouts[6])  # type: ignore[attr-defined]

    with pytest.raises(EmptyDocument):
        parse(make_pptx(fill), "deck.pptx")
