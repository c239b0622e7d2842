"""Labels: short, distinct, cut at words."""

import pytest

from retrieval.labels import MAX_LABEL_CHARS, label_for, shorten


@pytest.mark.parametrize(
    ("title", "path", "label"),
    [
        ("Harbour", (), "Harbour"),
        ("Harbour", ("Harbour", "Fees"), "Harbour > Fees"),
        ("Harbour", ("harbour", "", "Fees", "Fees"), "Harbour > Fees"),
        ("T", ("Two\nlines",), "T > Two lines"),
        (
            "A title of some words",
            ("a middle heading", "another middle heading", "the last"),
            "A title of some words > another middle heading > the last",
        ),
    ],
)
def test_label(title: str, path: tuple[str, ...], label: str) -> None:
    assert label_for(title, path) == label


@pytest.mark.parametrize(
    ("title", "last"), [("word " * 30, "end"), ("T", "w " * 90), ("x" * 99, "y" * 99)]
)
def test_long_ones_keep_both_ends(title: str, last: str) -> None:
    label = label_for(title, ("middle " * 5, last))
    assert len(label) <= MAX_LABEL_CHARS
    assert label[0] == title[0]
    assert f" > {last[0]}" in label


def test_shorten_cuts_between_words() -> None:
    assert shorten("one two three", 13) == "one two three"
    assert shorten("one two three", 10) == "one two…"
    assert shorten("one two, three", 9) == "one two…"
    assert shorten("abcdefgh", 5) == "abcd…"
