"""Which entry goes first when a tier is full: one rule a class, one line in the table.

A rule gives each entry a rank when it is put or used; the lowest rank that is not pinned goes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kvstore.errors import InvalidReuse

LEAST_OVERHEAD = 0.05  # one exact use counts as twenty that have to be computed


def worth_of(overhead: float) -> float:
    """What a use counts whose entry had to be computed anew to this share (0 to 1)."""
    return 1 / max(overhead, LEAST_OVERHEAD)


@dataclass(slots=True)
class Held:
    """What a tier knows about one of its entries. `seconds`: what computing it again costs, in any
    unit that is the same for all."""

    num_bytes: int
    seconds: float
    last_used_at: float
    pinned: bool = False
    uses: int = 0
    rank: float = 0.0
    namespace: str = ""  # whose it is
    score: float = 0.0  # sum of `worth_of` over its uses; 1 for one whose overhead is unknown


class Eviction(Protocol):
    """One instance a tier; not safe to share between threads."""

    @property
    def name(self) -> str: ...

    def rank(self, held: Held) -> float:
        """The rank of an entry that was just put or used."""
        ...

    def went(self, held: Held) -> None:
        """Told of each entry that had to go."""
        ...


class Lru:
    name = "lru"

    def rank(self, held: Held) -> float:
        return held.last_used_at

    def went(self, held: Held) -> None:
        """Nothing to learn."""


class Gdsf:
    """Greedy-Dual-Size-Frequency: seconds saved a byte times uses, on top of a clock.

    The clock is the rank of what went last, so an entry that was popular long ago is overtaken by
    what is used now. It starts at zero with the process: after a restart only uses count.
    """

    name = "gdsf"

    def __init__(self) -> None:
        self._clock = 0.0

    def rank(self, held: Held) -> float:
        return self._clock + (held.uses + 1) * held.seconds / max(1, held.num_bytes)

    def went(self, held: Held) -> None:
        self._clock = max(self._clock, held.rank)


class CacheCraft:
    """Cache-Craft's usage score: every reuse counts by one over its fix overhead, so entries that
    needed little repair stay. Looks neither at bytes nor at age (arXiv 2502.15734)."""

    name = "cache_craft"

    def rank(self, held: Held) -> float:
        return held.score

    def went(self, held: Held) -> None:
        """Nothing to learn."""


class CacheCraftGdsf(Gdsf):
    """Gdsf that counts each use by one over its fix overhead."""

    name = "cache_craft_gdsf"

    def rank(self, held: Held) -> float:
        return self._clock + (held.score + 1) * held.seconds / max(1, held.num_bytes)


EVICTIONS: dict[str, Callable[[], Eviction]] = {
    rule.name: rule for rule in (Lru, Gdsf, CacheCraft, CacheCraftGdsf)
}


def new_eviction(name: str) -> Eviction:
    """A rule for one tier; raises InvalidReuse with the known names."""
    if name not in EVICTIONS:
        raise InvalidReuse(f"unknown eviction {name!r}; known: {', '.join(EVICTIONS)}")
    return EVICTIONS[name]()
