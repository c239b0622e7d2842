"""Which names of one list of people mean the same person: order, initials, pet names, slips.

The fullest names say who there is; a shorter one joins the only person it fits. One that fits two
("J. Smith" beside John and Jane) says too little and stands alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reliability.matching import plain_words

FEWEST_LETTERS = 5  # shorter words one letter apart are often different names
FEWEST_SWAPPED = 4  # two neighbours exchanged make a name less often than another letter does
FEWEST_CUT = 3  # "Ken" for "Kenneth"
MOST_JOINED = 4  # people written in a row without anything between them
# English pet names that are no beginning of the whole one.
PET_NAMES = {
    "bob": ("robert",), "rob": ("robert",), "bill": ("william",), "will": ("william",),
    "jim": ("james",), "dick": ("richard",), "rick": ("richard",), "ted": ("edward", "theodore"),
    "ned": ("edward",), "jack": ("john",), "mike": ("michael",), "dave": ("david",),
    "steve": ("steven", "stephen"), "tom": ("thomas",), "tony": ("anthony",), "andy": ("andrew",),
    "hank": ("henry",), "harry": ("henry", "harold"), "larry": ("lawrence", "laurence"),
    "jerry": ("gerald", "jerome"), "kate": ("katherine", "catherine"), "liz": ("elizabeth",),
    "beth": ("elizabeth",), "betty": ("elizabeth",), "peggy": ("margaret",), "meg": ("margaret",),
    "chuck": ("charles",), "charlie": ("charles",), "joe": ("joseph",), "don": ("donald",),
}  # fmt: skip
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


def part_people(names: Collection[str]) -> dict[str, list[str]]:
    """Names that are several others in a row, "Jane Doe Richard Roe" or "Doe, Roe", and which.

    Only where each part is a person whom the other names give in full; parts that are lone family
    names also need that the whole is nobody.
    """
    people = [_read(name) for name in sorted(set(names))]
    known = [person for person in people if 2 <= len(person.words) <= 3]
    found = {}
    for person in people:
        others = [other for other in known if other.name != person.name]
        is_somebody = len(person.words) < 2 or any(_may_be(person, other) for other in others)
        fewest = 2 if is_somebody else 1
        parts = _in_a_row(person.words, others, MOST_JOINED, fewest)
        if len({part.family for part in parts}) > 1:
            found[person.name] = [part.name for part in parts]
    return found


def _in_a_row(
    words: tuple[str, ...], known: Sequence[_Person], most: int, fewest: int
) -> list[_Person]:
    """People whose names stand one after the other in `words`, each in `fewest` words or more;
    empty where they do not."""
    if not words or not most:
        return []
    for size in range(min(3, len(words)), fewest - 1, -1):
        head = _Person(" ".join(words[:size]), words[:size], words[size - 1])
        fits = [other for other in known if _may_be(head, other)]
        if len({other.family for other in fits}) != 1:
            continue
        rest = words[size:]
        after = _in_a_row(rest, known, most - 1, fewest)
        if not rest or after:
            return [fits[0], *after]
    return []


def _read(name: str) -> _Person:
    head, comma, _ = name.partition(",")
    words = tuple(plain_words(name))
    own = plain_words(head)
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
    """The equal one, else a misspelt one, a shortened one, or one of which this is the initial."""
    for alike in (str.__eq__, _spelt_alike, _is_pet_name, _is_initial):
        for other in words:
            if alike(word, other):
                return other
    return None


def _is_initial(one: str, other: str) -> bool:
    return min(len(one), len(other)) == 1 and one[0] == other[0]


def _is_pet_name(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return (len(short) >= FEWEST_CUT and long.startswith(short)) or (
        one in PET_NAMES.get(other, ()) or other in PET_NAMES.get(one, ())
    )


def _spelt_alike(one: str, other: str) -> bool:
    """Equal, or in longer words one letter changed, left out, or two neighbours exchanged."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < FEWEST_SWAPPED or len(long) - len(short) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    if len(short) == len(long):
        swapped = short[start : start + 2] == long[start : start + 2][::-1]
        if swapped and short[start + 2 :] == long[start + 2 :]:
            return True
    is_long = len(short) >= FEWEST_LETTERS
    return is_long and short[start + len(short) - len(long) + 1 :] == long[start + 1 :]
