"""Which answers mean the same: rules from cheap to dear, and clusters that no order changes.

The last rung, a model that compares two answers, comes from the caller as a `Judge`.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations
from typing import Literal, Protocol

from reliability.families.union_find import UnionFind
from reliability.numbers import parse_date, parse_quantity, same_date, same_quantity

TOKEN_SET_RATIO = 0.92
DIGIT = re.compile(r"\d")
# Not "one", which is a pronoun too.
NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        (
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ),
        start=2,
    )
}
ARTICLES = frozenset(("a", "an", "the"))
NO_ANSWERS = (
    *("I don't know", "I do not know", "don't know", "do not know", "unknown", "not known"),
    *("IDK", "N/A", "no answer", "none given"),
)

Relation = Literal["same", "different", "unsure"]


class Judge(Protocol):
    """Compares two answers to one question by meaning, with a model where there is one."""

    def __call__(self, question: str, one: str, other: str) -> Relation: ...


@lru_cache(maxsize=4096)
def normal_answer(text: str) -> str:
    """Lower case, no accents, no punctuation, no articles, small numbers in figures."""
    words = [NUMBER_WORDS.get(word, word) for word in plain_words(text)]
    return " ".join(word for word in words if word not in ARTICLES) or " ".join(words)


def plain_words(text: str) -> list[str]:
    """Lower case, no accents, no punctuation. Articles stay: in a name "A." is an initial."""
    # Twice: what a letter is compatible with may be a capital ("ᴬ").
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = unicodedata.normalize("NFKD", plain.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c) and c not in "'’")
    return re.findall(r"[^\W_]+|%", re.sub(r"(?<=\d),(?=\d{3})", "", plain))


NOTHING = frozenset(("", *map(normal_answer, NO_ANSWERS)))


def is_no_answer(text: str) -> bool:
    """Whether a reader's text says that it found nothing; an empty one does."""
    return normal_answer(text) in NOTHING


def compare(one: str, other: str, aliases: Mapping[str, str] | None = None) -> Relation:
    """What the rungs without a model say: equality, dates, numbers, aliases, names, spelling."""
    a, b = normal_answer(one), normal_answer(other)
    a, b = (aliases or {}).get(a, a), (aliases or {}).get(b, b)
    if a == b:
        return "same"
    by_value = _compare_values(one, other)
    if by_value != "unsure":
        return by_value
    words_a, words_b = a.split(), b.split()
    if _numbers(words_a) != _numbers(words_b):
        return "different"
    if same_name(words_a, words_b) or _token_set_ratio(words_a, words_b) >= TOKEN_SET_RATIO:
        return "same"
    return "unsure"


def _compare_values(one: str, other: str) -> Relation:
    if not (DIGIT.search(one) and DIGIT.search(other)):
        return "unsure"  # a month alone is no date
    dates = parse_date(one), parse_date(other)
    if dates[0] and dates[1]:
        return "same" if same_date(dates[0], dates[1]) else "different"
    quantities = parse_quantity(one), parse_quantity(other)
    if quantities[0] and quantities[1]:
        return "same" if same_quantity(quantities[0], quantities[1]) else "different"
    return "unsure"


def _numbers(words: Sequence[str]) -> list[str]:
    return sorted(word for word in words if any(c.isdigit() for c in word))


def same_name(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether each word of the shorter name has its own equal or initial in the longer one.

    "J. K. Rowling", "Rowling, Joanne K" and "Joanne Rowling" are the same; "Joanne" is too little.
    """
    short, long = sorted((list(one), list(other)), key=len)
    if len(short) < 2:
        return False
    left = list(long)
    whole = 0
    for word in sorted(short, key=len, reverse=True):
        if word in left:
            whole += len(word) > 2
            left.remove(word)
            continue
        near = [w for w in left if (len(w) == 1 or len(word) == 1) and w[0] == word[0]]
        if not near:
            return False
        left.remove(near[0])
    return whole >= 1 and len(short) >= len(long) - 2


def _token_set_ratio(one: Sequence[str], other: Sequence[str]) -> float:
    """Likeness of the sorted words (difflib's ratio of characters)."""
    a, b = " ".join(sorted(set(one))), " ".join(sorted(set(other)))
    if min(len(a), len(b)) <= 3:
        return 0.0
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.real_quick_ratio() < TOKEN_SET_RATIO or matcher.quick_ratio() < TOKEN_SET_RATIO:
        return 0.0  # upper bounds: the dear comparison would not reach it
    return matcher.ratio()


@dataclass(frozen=True, slots=True)
class AnswerClusters:
    """The representative of each answer (None for no answer), and who compared how many pairs."""

    representative: Mapping[str, str | None]
    by_rules: int
    by_judge: int


def cluster_answers(
    answers: Collection[str],
    question: str = "",
    judge: Judge | None = None,
    aliases: Mapping[str, str] | None = None,
) -> AnswerClusters:
    """Connected components over pairs that mean the same; the order of `answers` plays no role.

    A component that holds a pair which differs is split: answers that agree with both sides of it
    say too little to belong to either and stand alone.
    """
    real = sorted({answer for answer in answers if not is_no_answer(answer)})
    same: set[frozenset[str]] = set()
    different: set[frozenset[str]] = set()
    judged = 0
    for one, other in combinations(real, 2):
        relation = compare(one, other, aliases)
        if relation == "unsure" and judge is not None:
            relation = judge(question, one, other)
            judged += 1
        if relation != "unsure":
            (same if relation == "same" else different).add(frozenset((one, other)))
    bridges = _bridges(real, same, different)
    sets = UnionFind(real)
    for pair in same:
        one, other = pair
        if not pair & bridges:
            sets.join(one, other)
    members: dict[str, list[str]] = {}
    for answer in real:
        members.setdefault(sets.find(answer), []).append(answer)
    names = {root: min(group, key=lambda a: (-len(a), a)) for root, group in members.items()}
    found: dict[str, str | None] = dict.fromkeys(answers)
    found |= {answer: names[sets.find(answer)] for answer in real}
    pairs = len(real) * (len(real) - 1) // 2
    return AnswerClusters(found, pairs - judged, judged)


def _bridges(
    answers: Sequence[str], same: set[frozenset[str]], different: set[frozenset[str]]
) -> frozenset[str]:
    """Answers that mean the same as two answers which differ."""
    near: dict[str, set[str]] = {answer: set() for answer in answers}
    for pair in same:
        one, other = pair
        near[one].add(other)
        near[other].add(one)
    return frozenset(
        answer
        for answer, others in near.items()
        if any(frozenset(pair) in different for pair in combinations(sorted(others), 2))
    )
