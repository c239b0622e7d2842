import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answer.sentences import sentence_spans


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   \n - \n", []),
        ("One sentence", ["One sentence"]),
        ("It opens at 7. It closes at 9.", ["It opens at 7.", "It closes at 9."]),
        ("It costs 3.50 euros. Yes!", ["It costs 3.50 euros.", "Yes!"]),
        ("Ask Dr. Moreno. She knows.", ["Ask Dr. Moreno.", "She knows."]),
        ("Open from 7 a.m. to 9.", ["Open from 7 a.m. to 9."]),
        ("He said “Go.” Then he went.", ["He said “Go.”", "Then he went."]),
        ("- first\n- second\n2. third", ["first", "second", "third"]),
        ("## Heading\n\nText here.", ["Heading", "Text here."]),
        ("東京です。大阪です。", ["東京です。", "大阪です。"]),
        ("Really?! No.", ["Really?!", "No."]),
        ("Élan vital. Über alles.", ["Élan vital.", "Über alles."]),
    ],
)
def test_splitting(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_a_wrapped_line_goes_on_and_a_short_one_ends() -> None:
    wrapped = "The council met in the old town hall on Tuesday evening and\napproved the budget."
    assert split(wrapped) == [wrapped]
    assert split("Opening hours\nfrom 7 to 9") == ["Opening hours", "from 7 to 9"]
    long_item = "- " + "word " * 15
    assert len(split(f"{long_item}\n{long_item}\n| cell |")) == 3


@given(st.text(alphabet=st.sampled_from("aB1 .!?\n-*“”)。é,"), max_size=60))
def test_spans_are_inside_ordered_and_trimmed(text: str) -> None:
    last = 0
    for start, end in sentence_spans(text):
        assert last <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        last = end
