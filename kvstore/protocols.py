"""What kvstore needs from outside, and what its own parts promise one another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from kvstore.types import ChunkKV, EntryKey, TierStats


class Tier(Protocol):
    """One place where entries are kept. Safe to call from several threads.

    `get` returns tensors that must not be changed; `put` may evict entries that are not pinned when
    `evict` is true and raises TierFull when the entry cannot fit.
    """

    name: str

    def get(self, key: EntryKey) -> ChunkKV | None:
        """The entry, or None. Raises CorruptEntry after putting a damaged entry aside."""
        ...

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None: ...

    def contains(self, key: EntryKey) -> bool: ...

    def remove(self, digests: Sequence[str]) -> int:
        """Forget entries, pinned or not; returns the bytes that went."""
        ...

    def pin(self, digest: str, pinned: bool) -> None: ...

    def stats(self) -> TierStats: ...


class Codec(Protocol):
    """Between rows in memory and the tensors of a file; keys and values [L, G, n, D]."""

    @property
    def name(self) -> str: ...

    @property
    def lossless(self) -> bool:
        """Whether decoded rows may serve as exact ones, to compute others behind them."""
        ...

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]: ...

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values in the compute dtype. Raises KeyError or RuntimeError when the tensors
        are not what `encode` wrote."""
        ...

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same bits, layer by layer: keys and values [1, G, n, D]."""
        ...


@dataclass(frozen=True, slots=True)
class IndexedEntry:
    """One row of the entry index; times are seconds since the epoch."""

    digest: str
    content: str
    preceding: str
    num_tokens: int
    num_bytes: int
    last_used_at: float
    uses: int
    pinned: bool
    namespace: str = ""  # empty: recorded before there were namespaces in the index
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Uses:
    """Of one entry since they were last written down; `last_at` in seconds since the epoch."""

    times: int
    last_at: float

    def more(self, other: "Uses") -> "Uses":
        return Uses(self.times + other.times, max(self.last_at, other.last_at))


class EntryIndex(Protocol):
    """The database's list of stored entries (app.db implements it; tests use a dict)."""

    def record(
        self,
        *,
        digest: str,
        namespace: str,
        identity: str,
        content: str,
        context: str,
        preceding: str,
        num_tokens: int,
        num_bytes: int,
        now: float,
    ) -> None: ...

    def touch(self, uses: Mapping[str, "Uses"]) -> None:
        """Add the uses of each digest; all of them or none."""
        ...

    def forget(self, digests: Sequence[str]) -> None: ...

    def pin(self, digest: str, pinned: bool) -> None: ...

    def rows(self) -> Sequence[IndexedEntry]: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Rows start..end of a prompt that came from the store and are not exact.

    overhead: share of them that wants recomputing, by what preceded them (kvstore.impact).
    scores: [end - start] float32, attention of each to what preceded it then; None if unknown.
    """

    start: int
    end: int
    overhead: float = 1.0
    scores: torch.Tensor | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return self.end - self.start


class Probes(Protocol):
    """Measurements a policy may ask for; each runs part of the model, only when asked."""

    def question_attention(self) -> torch.Tensor:
        """[N] float32: attention mass from Q's rows on each token, upper two thirds of layers."""
        ...

    def value_deviation(self, layers: Sequence[int]) -> torch.Tensor:
        """[N] float32: squared distance of fresh and stored values, summed over `layers`."""
        ...


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What a policy chooses from: `budget` tokens out of `spans`, at least `floor` per span."""

    spans: tuple[Span, ...]
    budget: int
    floor: int
    seed: int


class SelectionPolicy(Protocol):
    """Chooses which reused tokens to recompute."""

    @property
    def name(self) -> str: ...

    @property
    def needs_links(self) -> bool:
        """Whether the prompt has to be woven with link tokens first (kvstore.links)."""
        ...

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        """Sorted int64 positions inside the spans, without repetition."""
        ...
