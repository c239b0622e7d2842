"""The few words that answer, out of a sentence."""

import pytest

from app.sources.questions import ASKED
from app.sources.short_answer import short_answer

CLOZE = f"{ASKED}The pool in Kiln Lane opens at ____ on weekdays."


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("Who was it?", "Anna Berg.\nShe was born in 1830.", "Anna Berg"),
        ("When?", "Answer: 1912", "1912"),
        ("When does it open?", "I do not know.", None),
        ("When does it open?", "I don't know the answer to this question.", None),
        ("When does it open?", "The passages do not mention it.", None),
        ("When does it open?", "  \n ", None),
        (
            "What time does the mill open?",
            "The mill in Ash opens at 9:30 and closes at 17:00.",
            "9:30",
        ),
        (
            "When was the bridge rebuilt?",
            "The bridge was rebuilt on 14 May 1912 by the town.",
            "14 May 1912",
        ),
        ("How many people live in Ash?", "About 1,250 people live in Ash as of today.", "1,250"),
        (
            "Who built the mill in Ash?",
            "The mill in Ash was built by Anna Berg in 1830.",
            "Anna Berg",
        ),
        ("What sport did Jane Doe play?", "The sport that Jane Doe played was hockey.", "hockey"),
        (
            "Where was the firm based?",
            "The firm was based in Dover, Kent, but it also sold hops in London.",
            "Dover, Kent",
        ),
        (
            "Where is the mill?",
            "The University of Ash lies next to the mill in the town of Lower Green.",
            "Lower Green",
        ),
        (
            "What is the size of the V-Strom?",
            "The size of the V-Strom is 996 cc or so.",
            "996 cc or so",
        ),
        ("How many mills are there?", 'The answer is "2"', "2"),
        ("How many mills are there?", "There are two mills in Ash, all of them old.", "two"),
        ("Who was the first miller?", "The first miller.", None),
        ("Which is older, the mill or the pool?", "The mill.", "The mill"),
        ("What is it?", f"It is {'a very long story about nothing ' * 4}.", None),
        (
            "Is the mill open all year?",
            "The mill is open on most days.",
            "The mill is open on most days",
        ),
        ("When does the mill open?", "Bread is made from flour, water and some salt.", None),
        (CLOZE, "The pool in Kiln Lane opens at 7:00 on weekdays.", "7:00"),
        (CLOZE, "7:00", "7:00"),
        (CLOZE, "There is a pool which many people of the town like to visit.", None),
        (f"{ASKED}The mill burnt down in ____.", "The mill burnt down in 1912.", "1912"),
    ],
)
def test_short_answer(question: str, text: str, answer: str | None) -> None:
    assert short_answer(question, text) == answer
