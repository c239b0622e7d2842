"""Content words of questions."""

import pytest

from retrieval.words import content_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the harbour's fee for 2 ships?", ["harbour's", "fee", "2", "ships"]),
        ("What's it about?", []),
        ("What’s an E-1234?", ["E", "1234"]),
        ("Wo liegt der Größte?", ["Wo", "liegt", "der", "Größte"]),
        ("", []),
    ],
)
def test_content_words(text: str, words: list[str]) -> None:
    assert content_words(text) == words
