"""Which names of one list of people mean the same person: order, initials, a letter misspelt.

The fullest names say who there is; a shorter one joins the only person it fits. One that fits two
("J. Smith" beside John and Jane) says too little and stands alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reliability.matching import normal_answer

FEWEST_LETTERS = 5  # shorter words one letter apart are often different names
MOST_LEFT_OUT = 2  # first names that a shorter form does not give


@dataclass(frozen=True, slots=True)
class _Person:
    name: str
    words: tuple[str, ...]
    family: str  # what stands before a comma, or the last word


def cluster_people(names: Collection[str]) -> dict[str, str]:
    """The fullest spelling of each name's person; the order of `names` plays no role."""
    people = sorted((_read(name) for name in set(names)), key=_fullness)
    known: list[_Person] = []
    found = {}
    for person in people:
        fits = [other for other in known if _may_be(person, other)]
        if len(fits) == 1:
            found[person.name] = fits[0].name
        else:
            known.append(person)
            found[person.name] = person.name
    return found


def _read(name: str) -> _Person:
    head, comma, _ = name.partition(",")
    words = tuple(normal_answer(name).split())
    own = normal_answer(head).split()
    return _Person(name, words, (own[0] if comma else own[-1]) if own else "")


def _fullness(person: _Person) -> tuple[int, int, str]:
    whole = sum(len(word) > 1 for word in person.words)
    return -whole, -len(person.words), person.name


def _may_be(short: _Person, full: _Person) -> bool:
    """Whether each word of the shorter name has its own equal, initial or misspelling."""
    if len(short.words) == 1:
        return _spelt_alike(short.words[0], full.family)
    few, many = sorted((short.words, full.words), key=len)
    left = list(many)
    whole = 0
    for word in sorted(few, key=len, reverse=True):
        match = _matching(word, left)
        if match is None:
            return False
        whole += min(len(match), len(word)) > 1
        left.remove(match)
    return whole >= 1 and len(left) <= MOST_LEFT_OUT


def _matching(word: str, words: Sequence[str]) -> str | None:
    """The equal one, else a misspelt one, else one of which this is the initial or it of this."""
    for alike in (str.__eq__, _spelt_alike, _is_initial):
        for other in words:
            if alike(word, other):
                return other
    return None


def _is_initial(one: str, other: str) -> bool:
    return min(len(one), len(other)) == 1 and one[0] == other[0]


def _spelt_alike(one: str, other: str) -> bool:
    """Equal, or in longer words one letter changed, left out, or two neighbours exchanged."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < FEWEST_LETTERS or len(long) - len(short) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    changed = short[start + 1 :] == long[start + 1 :]
    swapped = short[start : start + 2] == long[start : start + 2][::-1]
    return changed or (swapped and short[start + 2 :] == long[start + 2 :])
