"""The demo documents are what demo/README.md says: five sources, short texts, one copy."""

from difflib import SequenceMatcher
from pathlib import Path

import pytest

MILLBROOK = Path(__file__).parents[2] / "demo" / "millbrook"
DOCUMENTS = sorted(MILLBROOK.rglob("*.md"))


def test_five_sources() -> None:
    assert len({path.parent.name for path in DOCUMENTS}) == 5


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document_is_short_and_has_a_title(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert 150 <= len(text.split()) <= 400


def test_the_copy_is_nearly_word_for_word_and_keeps_the_error() -> None:
    original = (MILLBROOK / "tourist-board" / "visit-the-bridge.md").read_text(encoding="utf-8")
    copy = (MILLBROOK / "riverside-blog" / "an-hour-on-the-bridge.md").read_text(encoding="utf-8")
    assert copy != original
    assert SequenceMatcher(None, original.split(), copy.split()).ratio() > 0.9
    assert "152 metres" in original
    assert "152 metres" in copy
