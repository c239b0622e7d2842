"""Values that cross kvstore's border. Tensors and token ids only: no documents, no people.

Shapes: L layers, G kv heads, D head size, n tokens of one entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from kvstore.arrival import Arrival

SegmentKind = Literal["prefix", "chunk", "link", "question"]
ReuseMode = Literal["auto", "exact", "off"]
Encoding = Literal["alone", "head", "neutral", "primed", "mean", "medoid", "variant"]
Action = Literal["exact", "reused", "computed"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of token ids that is tokenised alone, once (prompt contract, DESIGN 3)."""

    kind: SegmentKind
    token_ids: tuple[int, ...]
    primers: tuple[tuple[int, ...], ...] = ()  # a chunk's own, nearest last (kvstore.primers)
    bias: float = 0.0  # added to later rows' attention scores for its keys, in nats; at most 0


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
    """Keys and values of one segment, computed under its stated context.

    keys: [L, G, k, D], before rotation; values: [L, G, k, D]; both contiguous, the compute dtype.
    kept: sorted int32 [k], which of the n tokens have rows; None where all do (kvstore.keydiff).
    statistics: float32 tensors that a reuse method keeps beside the rows (kvstore.impact).
    lossless: the rows are as they were computed; a codec that rounds says so when it reads.
    coded: false for what every prompt needs exactly (P): kept raw, whatever a tier's codec.
    arrival: where the rows come from while they are decoded layer by layer; `keys` and `values` are
    empty then.
    """

    key: EntryKey
    token_ids: tuple[int, ...]
    keys: torch.Tensor
    values: torch.Tensor
    kept: torch.Tensor | None = None
    statistics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    lossless: bool = True
    coded: bool = True
    arrival: Arrival | None = field(default=None, compare=False)

    @property
    def num_bytes(self) -> int:
        beside = sum(tensor.nbytes for tensor in self.statistics.values())
        return self.keys.nbytes + self.values.nbytes + beside + 4 * len(self.token_ids)

    def rows(self, layers: slice, num_layers: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [l, G, k, D] of some of the model's layers. While they arrive each layer
        can be taken once, in order, and raises what a codec makes of tensors not written by it."""
        if self.arrival is not None:
            return self.arrival.take(layers, num_layers)
        return self.keys[layers], self.values[layers]

    @property
    def is_exact(self) -> bool:
        """Whether the rows may stand in for a forward behind the entry's own context."""
        return self.lossless and self.kept is None


@dataclass(frozen=True, slots=True)
class ReuseOptions:
    """What a request asks for. None means the model's default; `encoding` is a preference."""

    mode: ReuseMode = "auto"
    policy: str | None = None
    ratio: float | None = None
    encoding: Encoding | None = None


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
    saved_ms: float = 0.0  # what loading it saved against computing it; 0 where not measured


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
    # hits_ram, hits_disk, misses, corrupt, evicted; saved_ms may be negative
    counters: dict[str, int]
    load_bytes_per_s: dict[str, float] = field(default_factory=dict)  # by tier, moving averages
