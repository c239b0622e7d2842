"""What an evaluation world is: what is learned from, what is asked, and what is true."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reliability.observations import Observation

Truths = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class World:
    """What is learned from, asked, and true. `tests` empty: what was learned from is asked."""

    name: str
    probes: tuple[Observation, ...]
    tests: tuple[Observation, ...]
    truths: Truths
    reliability: Mapping[tuple[int, str], float] = field(default_factory=dict)
    takes_several: bool = False
    wrong: Truths = field(default_factory=dict)  # listed wrong answers, where a file has them
    is_dated: bool = True
    senses: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)
    probe_truths: Truths = field(default_factory=dict)  # for the oracle only
    turned_on: Mapping[int, float] = field(default_factory=dict)  # source -> day; likewise
