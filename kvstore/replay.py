"""What an eviction rule would have kept: a trace of uses replayed against a byte cap. No files."""

from collections.abc import Iterable
from dataclasses import dataclass

from kvstore.eviction import Eviction, Held, worth_of


@dataclass(frozen=True, slots=True)
class Use:
    """One look-up of an entry that is computed and stored when it is missing."""

    entry: str
    num_tokens: int
    num_bytes: int
    seconds: float  # to compute it
    overhead: float = 0.0  # share of it that a hit has to compute anew (Cache-Craft's CFO)


@dataclass(frozen=True, slots=True)
class ReplayFigures:
    rule: str
    hit_tokens: int
    tokens: int
    saved_seconds: float
    seconds: float

    @property
    def hit_share(self) -> float:
        return self.hit_tokens / max(1, self.tokens)


def replay(trace: Iterable[Use], rule: Eviction, budget_bytes: int) -> ReplayFigures:
    """Tokens and seconds found in a store of `budget_bytes` that starts empty."""
    held: dict[str, Held] = {}
    room = budget_bytes
    hit_tokens = tokens = 0
    saved = seconds = 0.0
    for now, use in enumerate(trace):
        tokens += use.num_tokens
        seconds += use.seconds
        found = held.get(use.entry)
        if found is not None:
            hit_tokens += use.num_tokens
            saved += use.seconds * (1 - use.overhead)
            found.uses += 1
            found.score += worth_of(use.overhead)
            found.last_used_at = now
            found.rank = rule.rank(found)
            continue
        if use.num_bytes > budget_bytes:
            continue
        while room < use.num_bytes:
            lowest = min(held, key=lambda entry: held[entry].rank)
            rule.went(held[lowest])
            room += held.pop(lowest).num_bytes
        new = Held(use.num_bytes, use.seconds, now)
        new.rank = rule.rank(new)
        held[use.entry] = new
        room -= use.num_bytes
    return ReplayFigures(rule.name, hit_tokens, tokens, saved, seconds)
