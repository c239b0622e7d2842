"""Which words of a sentence answer a question: not those at its edges that the question has too."""

import re

from reliability.matching import normal_answer

_WORD = re.compile(r"[^\W_]+(?:[.,:'’-][^\W_]+)*[%]?")
# Words that carry no answer at its edges: "It was in Rome" answers "Rome".
_EDGE = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be because by did do does for from had has have he her his i in is it "
        "its of on or she that the their there they this to was were which who with",
    )
)
FEWEST_ALIKE = 4  # "play" and "played" are one word; "in" and "inside" are two
MOST_ENDING = 3


def core_of(said: str, question: str) -> str:
    """`said` without the words at its edges that the question has too, or that carry nothing."""
    said = without_lead(said, question)
    asked = frozenset(normal_answer(question).split())
    words = list(_WORD.finditer(said))
    while words and _is_asked(words[-1].group(), asked):
        words.pop()
    return said[words[0].start() : words[-1].end()] if words else said.strip(" .")


def without_lead(said: str, question: str) -> str:
    """`said` from its first word on that the question has not; all of it where there is none."""
    asked = frozenset(normal_answer(question).split())
    for word in _WORD.finditer(said):
        if not _is_asked(word.group(), asked):
            return said[word.start() :]
    return said


def _is_asked(text: str, asked: frozenset[str]) -> bool:
    if normal_answer(text) in _EDGE:
        return True
    parts = normal_answer(text).split()  # "V-Strom" is two words
    return bool(parts) and all(
        part in asked or any(_same_stem(part, other) for other in asked) for part in parts
    )


def _same_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    is_close = len(short) >= FEWEST_ALIKE and len(long) - len(short) <= MOST_ENDING
    return is_close and long.startswith(short) and long.isalpha()
