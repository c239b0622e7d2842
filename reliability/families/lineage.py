"""L3: one passage comes from another: it names a common origin, or its source copies by habit."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from reliability.families.types import Join, Passage

# Two sources caught with the same text that often copy, if it is that share of their common
# answers, or if they hardly ever contradict each other: their other common answers count once too,
# however they are worded. Copies mostly put into other words are found by the second sign only.
HABIT_TIMES = 5
HABIT_SHARE = 0.5
FEWEST_COMMON = 20
NEVER_APART = 0.95
ORIGIN = re.compile(
    r"(?i:according to|as reported by|reported by|quoting|via|source:)\s+"
    r"((?:the\s+)?[A-Z][\w.&-]*(?:\s+(?:of\s+)?[A-Z][\w.&-]*){0,4})"
)
LINK = re.compile(r"https?://[^\s)\"'>\]]+")


def origins(text: str) -> frozenset[str]:
    """Names behind "according to" and the like, and links, each in lower case."""
    names = (match.casefold().removeprefix("the ").rstrip(".") for match in ORIGIN.findall(text))
    links = (link.rstrip(".,;/").casefold() for link in LINK.findall(text))
    return frozenset((*names, *links))


def origin_joins(passages: Sequence[Passage]) -> list[Join]:
    """Passages of one question with the same answer that name the same origin."""
    first: dict[tuple[str, str, str], Passage] = {}
    joins = []
    for passage in passages:
        if passage.answer is None:
            continue
        named = origins(passage.text) | ({passage.address.casefold()} - {""})
        for origin in sorted(named):
            earlier = first.setdefault((passage.question, passage.answer, origin), passage)
            if earlier is not passage:
                why = f"both go back to {origin}"
                joins.append(Join(earlier.passage_id, passage.passage_id, "L3", why))
    return joins


def habit_joins(passages: Sequence[Passage], found: Sequence[Join]) -> list[Join]:
    """Joins the common answers of sources that were caught copying (`found`: L0 and L1)."""
    by_id = {passage.passage_id: passage for passage in passages}
    by_answer: dict[tuple[str, str], list[Passage]] = defaultdict(list)
    for passage in passages:
        if passage.answer is not None:
            by_answer[passage.question, passage.answer].append(passage)
    together: Counter[tuple[int, int]] = Counter()
    for group in by_answer.values():
        together.update(combinations(sorted({p.source for p in group}), 2))
    caught = {
        (_pair(by_id[j.one].source, by_id[j.other].source), by_id[j.one].question)
        for j in found
        if by_id[j.one].question == by_id[j.other].question
    }
    times = Counter(pair for pair, _ in caught if pair[0] != pair[1])
    suspects = {pair: count for pair, count in times.items() if count >= HABIT_TIMES}
    common = _common_questions(passages) if suspects else {}
    habits = {
        pair: count
        for pair, count in suspects.items()
        if count >= HABIT_SHARE * together[pair]
        or together[pair] >= NEVER_APART * max(FEWEST_COMMON, common[pair])
    }
    joins = []
    for group in by_answer.values():
        for one, other in combinations(group, 2):
            pair = _pair(one.source, other.source)
            if pair in habits:
                why = f"the same text in {habits[pair]} of {together[pair]} common answers"
                joins.append(Join(one.passage_id, other.passage_id, "L3", why))
    return joins


def _common_questions(passages: Sequence[Passage]) -> Counter[tuple[int, int]]:
    """How many questions each two sources both answered, alike or not."""
    sources: dict[str, set[int]] = defaultdict(set)
    for passage in passages:
        if passage.answer is not None:
            sources[passage.question].add(passage.source)
    common: Counter[tuple[int, int]] = Counter()
    for group in sources.values():
        common.update(combinations(sorted(group), 2))
    return common


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
