"""Evidence families: passages that are one piece of evidence, level by level, cheapest first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reliability.families.exact import exact_joins, voice_joins
from reliability.families.habits import habit_joins
from reliability.families.lexical import lexical_joins
from reliability.families.lineage import origin_joins
from reliability.families.restatement import restatement_joins
from reliability.families.types import Families, Join, Pair, Passage
from reliability.families.union_find import UnionFind


@dataclass(frozen=True, slots=True)
class FamilyConfig:
    """`cosine_limit` None switches L2 off: the corpus has not been measured.

    `copiers`: sources that copy by habit, as observed. `one_voice`: what a source says twice is one
    piece of evidence, in whatever words.
    """

    cosine_limit: float | None = None
    copiers: frozenset[Pair] = frozenset()
    one_voice: bool = False


def find_families(passages: Sequence[Passage], config: FamilyConfig | None = None) -> Families:
    """Join passages of each question."""
    config = config or FamilyConfig()
    by_question: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        by_question[passage.question].append(passage)
    joins: list[Join] = []
    for group in by_question.values():
        exact = exact_joins(group)
        found = {(join.one, join.other) for join in exact}
        joins += exact
        joins += [j for j in lexical_joins(group) if (j.one, j.other) not in found]
        joins += habit_joins(group, config.copiers)
        joins += restatement_joins(group, config.cosine_limit) + origin_joins(group)
        if config.one_voice:
            joins += voice_joins(group)
    sets = UnionFind([passage.passage_id for passage in passages])
    for join in joins:
        sets.join(join.one, join.other)
    return Families(sets.numbers(), tuple(joins))
