"""Values that cross kvstore's border. Tensors and token ids only: no documents, no people.

Shapes: L layers, G kv heads, D head size, n tokens of one entry.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch

SegmentKind = Literal["prefix", "chunk", "question"]
ReuseMode = Literal["auto", "exact", "off"]
Encoding = Literal["head", "primed"]
Action = Literal["exact", "reused", "computed"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of token ids that is tokenised alone, once (prompt contract, DESIGN 3)."""

    kind: SegmentKind
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...] = ()  # a chunk's own, nearest last (kvstore.primers)


@dataclass(frozen=True, slots=True)
class EntryKey:
    """Where an entry lives. Parts are hex SHA-256 or HMAC digests (DESIGN 4)."""

    namespace: str
    identity: str
    content: str
    context: str  # over `preceding`
    digest: str  # SHA-256 over the four, the file's name
    preceding: str  # content ids of what preceded it, joined by commas


@dataclass(frozen=True, slots=True)
class ChunkKV:
    """Exactly computed keys and values of one segment under its stated context.

    keys: [L, G, n, D], before rotation; values: [L, G, n, D]; both contiguous, the compute dtype.
    """

    key: EntryKey
    token_ids: tuple[int, ...]
    keys: torch.Tensor
    values: torch.Tensor

    @property
    def num_bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes + 4 * len(self.token_ids)


@dataclass(frozen=True, slots=True)
class ReuseOptions:
    """What a request asks for. `policy` and `ratio` None mean the model's defaults."""

    mode: ReuseMode = "auto"
    policy: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What happened to one segment of a prompt."""

    kind: SegmentKind
    num_tokens: int
    action: Action
    recomputed: int
    tier: str | None  # where the entry came from
    encoding: Encoding | None
    reason: str  # a code of kvstore.reasons


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """prompt = exact_prefix + reused + recomputed + fresh."""

    prompt: int
    exact_prefix: int
    reused: int
    recomputed: int
    fresh: int


@dataclass(frozen=True, slots=True)
class PrefillReport:
    mode: ReuseMode
    policy: str
    ratio: float
    reason: str
    segments: tuple[SegmentReport, ...]
    tokens: TokenCounts
    timings_ms: dict[str, float] = field(
        default_factory=dict
    )  # lookup, load, rotate, probe, prefill


@dataclass(frozen=True, slots=True)
class TierStats:
    name: str
    bytes: int
    budget_bytes: int
    entries: int
    pinned: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    tiers: tuple[TierStats, ...]
    counters: dict[str, int]  # hits_ram, hits_disk, misses, corrupt, evicted, saved_ms
    load_bytes_per_s: dict[str, float] = field(default_factory=dict)  # by tier, moving averages
