"""L3: sources caught with the same text again and again; their other common answers count once too.

Learned from what was observed: one question shows one copy at most. Copies that are mostly put into
other words are found by the second sign only.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product

from reliability.families.types import Join, Pair, Passage
from reliability.families.union_find import UnionFind
from reliability.observations import Observation

# Two sources caught so often copy, if it is that share of their common answers, or if they hardly
# ever contradict each other.
HABIT_TIMES = 5
HABIT_SHARE = 0.5
FEWEST_COMMON = 20
NEVER_APART = 0.95
MOST_PAIRED = 64  # of a family's sources every pair is counted; the others with these only

Answers = dict[str, set[str]]


def copying_pairs(rows: Iterable[Observation]) -> frozenset[Pair]:
    """Pairs of sources that copy by habit, the smaller id first. `rows` have the families in which
    their passages were found."""
    answers: dict[int, Answers] = defaultdict(lambda: defaultdict(set))
    members: dict[tuple[str, int], set[int]] = defaultdict(set)
    for row in rows:
        if row.source is None or row.answer is None or not row.is_of_source:
            continue
        answers[row.source][row.question].add(row.answer)
        if row.family is not None:
            members[row.question, row.family].add(row.source)
    caught = {
        (pair, question)
        for (question, _), group in members.items()
        for pair in _pairs(sorted(group))
    }
    times = Counter(pair for pair, _ in caught)
    return frozenset(
        pair
        for pair, count in times.items()
        if count >= HABIT_TIMES and _is_habit(count, answers[pair[0]], answers[pair[1]])
    )


def _pairs(sources: Sequence[int]) -> Iterator[Pair]:
    first, rest = sources[:MOST_PAIRED], sources[MOST_PAIRED:]
    yield from combinations(first, 2)
    yield from product(first, rest)


def _is_habit(times: int, one: Answers, other: Answers) -> bool:
    common = one.keys() & other.keys()
    together = sum(len(one[question] & other[question]) for question in common)
    never_apart = together >= NEVER_APART * max(FEWEST_COMMON, len(common))
    return times >= HABIT_SHARE * together or never_apart


def count_once(rows: Sequence[Observation], copiers: Collection[Pair]) -> tuple[Observation, ...]:
    """`rows`, with equal answers of sources that copy from one another in one family."""
    if not copiers:
        return tuple(rows)
    known = {source for pair in copiers for source in pair}
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.source is not None and row.answer is not None:
            places[row.question, row.answer].append(place)
    joined = list(rows)
    for group in places.values():
        suspects = sorted(known.intersection(rows[place].source for place in group))
        pairs = [pair for pair in combinations(suspects, 2) if pair in copiers]
        if pairs:
            for place, family in _families(rows, group, pairs).items():
                joined[place] = replace(rows[place], family=family)
    return tuple(joined)


def _families(
    rows: Sequence[Observation], group: Sequence[int], pairs: Sequence[Pair]
) -> dict[int, int]:
    """Family of each row of one answer that has one now; a new one has a negative number."""
    sets = UnionFind(group)
    first: dict[object, int] = {}
    for place in group:
        row = rows[place]
        for key in (("source", row.source), ("family", row.family)):
            if key[1] is not None:
                sets.join(first.setdefault(key, place), place)
    of_source = {rows[place].source: place for place in group}
    for one, other in pairs:
        sets.join(of_source[one], of_source[other])
    members: dict[int, list[int]] = defaultdict(list)
    for place in group:
        members[sets.find(place)].append(place)
    found: dict[int, int] = {}
    for together in members.values():
        known = [family for p in together if (family := rows[p].family) is not None]
        if known or len({rows[place].source for place in together}) > 1:
            new = -1 - min(rows[place].observation_id for place in together)
            found |= dict.fromkeys(together, min(known, default=new))
    return found


def habit_joins(passages: Sequence[Passage], copiers: Collection[Pair]) -> list[Join]:
    """Joins equal answers of one question by sources that copy from one another."""
    by_answer: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        if copiers and passage.answer is not None:
            by_answer[passage.answer].append(passage)
    return [
        Join(one.passage_id, other.passage_id, "L3", "by sources that copy from one another")
        for group in by_answer.values()
        for one, other in combinations(group, 2)
        if (min(one.source, other.source), max(one.source, other.source)) in copiers
    ]
