"""What the figures of two sentences have to each other. Pure: text in, a word on them out.

Numbers are compared as written, a year with the dates it lies in. A number may also only name what
a sentence is about ("record 17 is ..."): it says which thing is meant, and nothing of it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from reliability.numbers import MONTHS, parse_date, parse_quantity, same_date, same_quantity

Date = tuple[int, int | None, int | None]  # year, month, day

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MONTH = "(?:" + "|".join(f"{month}|{month[:3]}" for month in MONTHS) + ")"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"\b(?:{_DAY} (?:of )?{_MONTH},? \d{{4}}|{_MONTH} {_DAY},? \d{{4}}"
    rf"|{_MONTH},? \d{{4}}|\d{{4}}-\d\d-\d\d)\b",
    re.IGNORECASE,
)
# Right before one of these a number belongs to what is spoken of: "gate 4 was", "in 2021 had".
_NAMING = re.compile(
    r"(?P<number>\d+(?:[.,:]\d+)*) "
    r"(?:is|are|was|were|has|have|had|will|can|could|may|must|shall|should|would|do|does|did)\b"
)  # lower case: "3 May 1871" is a date
_MARKER = re.compile(r"\[\d+\]")  # of a citation
_QUESTION_WORD = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Figures:
    """`numbers` are all of a text, those in its `dates` too; `naming` say what it is about."""

    numbers: frozenset[str] = frozenset()
    dates: frozenset[Date] = frozenset()
    naming: frozenset[str] = frozenset()

    @property
    def fine(self) -> frozenset[str]:
        """What dates say beyond their year: days, and months in lower case."""
        days = {str(day) for _, _, day in self.dates if day}
        return frozenset(days | {MONTHS[month - 1] for _, month, _ in self.dates if month})


@lru_cache(maxsize=4096)
def figures(text: str) -> Figures:
    """The figures of a sentence, without markers such as [1] and thousands separators."""
    text = without_markers(text)
    found = (parse_date(match.group().lower()) for match in _DATE.finditer(text))
    naming = (match["number"] for match in _NAMING.finditer(text))
    return Figures(
        frozenset(map(plain_number, _NUMBER.findall(text))),
        frozenset(date for date in found if date is not None),
        frozenset(map(plain_number, naming)),
    )


def without_markers(text: str) -> str:
    return _MARKER.sub(" ", text)


def plain_number(digits: str) -> str:
    """Without thousands separators: "1,250,000" is "1250000"."""
    return re.sub(r",(?=\d{3}(?:\D|$))", "", digits)


def named_in(question: str) -> frozenset[str]:
    """The numbers that say what is asked about. A question without a question word has none:
    "Did it open in 1871?" asks about the number itself."""
    return figures(question).numbers if _QUESTION_WORD.search(question) else frozenset()


def has_all(present: Figures, wanted: Figures) -> bool:
    """Whether each number and each date that is wanted is there."""
    return all(_has(present.numbers, number) for number in wanted.numbers) and all(
        any(same_date(date, other) for other in same)
        for date in wanted.dates
        if (same := _of_year(present.dates, date))
    )


def agree(present: Figures, wanted: Figures) -> bool:
    """As `has_all`, but a year agrees with a fuller date in it, whichever of both is the fuller."""
    fine = {str(date[2]) for date in wanted.dates if not _of_year(present.dates, date)}
    return has_all(present, replace(wanted, numbers=wanted.numbers - fine))


def contradict(present: Figures, wanted: Figures, about: Iterable[str] = ()) -> bool:
    """Whether both speak of the same thing and say no figure alike; `about` names the thing."""
    about = frozenset(about) | wanted.naming
    if not about & wanted.numbers <= present.numbers or not present.naming <= wanted.numbers:
        return False
    if wanted.dates and present.dates:
        return not any(same_date(a, b) for a in wanted.dates for b in present.dates)
    values, others = wanted.numbers - about, present.numbers - about
    return bool(values and others) and not any(_has(others, value) for value in values)


def _of_year(dates: Iterable[Date], date: Date) -> list[Date]:
    return [other for other in dates if other[0] == date[0]]


def _has(numbers: frozenset[str], wanted: str) -> bool:
    return wanted in numbers or any(_rounds(number, wanted) for number in numbers)


def _rounds(one: str, other: str) -> bool:
    """148.2 and 148; whole numbers round to none: 1870 is not 1871."""
    if ("." in one) == ("." in other):
        return False
    a, b = parse_quantity(one), parse_quantity(other)
    return a is not None and b is not None and same_quantity(a, b, tolerance=0.0)
