"""Values of evidence families: passages, why two of them are one piece of evidence, the result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reliability.arrays import FloatArray

Level = Literal["L0", "L1", "L2", "L3", "L4"]


Pair = tuple[int, int]  # two sources, the smaller id first


@dataclass(frozen=True, slots=True)
class Passage:
    """What a source shows for one question. Empty fields are unknown, and unknown joins nothing.

    `embedding` comes from the caller (unit length); `day` is when the passage appeared,
    `source_first_day` when its account was first seen.
    """

    passage_id: int
    source: int
    text: str
    question: str = ""
    answer: str | None = None  # answer cluster
    address: str = ""  # canonical
    title: str = ""
    upload_batch: str = ""
    embedding: FloatArray | None = None
    day: float | None = None
    source_first_day: float | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """Two passages that count once, and why; shown to a curator."""

    one: int
    other: int
    level: Level
    why: str


@dataclass(frozen=True, slots=True)
class Families:
    """Family number of each passage, and the joins that made it."""

    family_of: Mapping[int, int]
    joins: tuple[Join, ...]

    def members(self, family: int) -> tuple[int, ...]:
        return tuple(p for p, number in self.family_of.items() if number == family)

    def shared(self) -> dict[int, int]:
        """Passages of families of more than one, with the first (least id) of their family."""
        members: dict[int, list[int]] = {}
        for passage, family in self.family_of.items():
            members.setdefault(family, []).append(passage)
        return {p: min(group) for group in members.values() if len(group) > 1 for p in group}

    def why(self, passage: int) -> tuple[Join, ...]:
        return tuple(join for join in self.joins if passage in (join.one, join.other))
