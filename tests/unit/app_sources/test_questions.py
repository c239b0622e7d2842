"""Questions made from sentences."""

import pytest

from app.db.reliability_rows import NewProbe
from app.sources.questions import BLANK, blanked, from_given, from_runs


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ("The mill by the river burnt down in 1912.", "burnt down in ____."),
        ("Short. It was built by the engineer Anna Berg of Ash.", "the engineer ____ of"),
        ("A ticket costs 4.80 euros on every day of the week.", "A ticket costs ____ euros"),
    ],
)
def test_a_number_or_a_name_is_left_out(text: str, answered: str) -> None:
    found = blanked(text)
    assert found is not None
    assert answered in found
    assert found.count(BLANK) == 1


@pytest.mark.parametrize("text", ["", "Only 3 words.", "all words here are of no use at all.", "7"])
def test_a_text_that_states_neither_makes_no_question(text: str) -> None:
    assert blanked(text) is None


def test_each_question_is_asked_once_and_not_more_than_wanted() -> None:
    assert from_runs(["a b", "a  b", "c", "x" * 3000], 10) == [NewProbe("a b"), NewProbe("c")]
    assert len(from_given((NewProbe(f"q{n}") for n in range(9)), 4)) == 4
    assert from_given([NewProbe("  ")], 4) == []
