"""A transformers cache for several short prompts at once, one slot each; rows stand where they are
in their prompt, so a row's number is its position.

Buffers begin as zeros: what no branch has written yet is masked, and a masked row must be finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers.cache_utils import Cache

from kvstore.cache import BufferLayer
from kvstore.families import KVLayout


@dataclass(frozen=True, slots=True)
class Writes:
    """Where the rows of one forward over slots first..last-1 go; rows behind a branch's own are
    padding and go nowhere."""

    first: int
    last: int
    branches: torch.Tensor  # [T] branch of each real row, counted from `first`
    rows: torch.Tensor  # [T] its place among that branch's rows
    columns: torch.Tensor  # [T] its position
    length: int  # how many columns attention sees

    @classmethod
    def of(
        cls, first: int, starts: Sequence[int], counts: Sequence[int], device: torch.device
    ) -> "Writes":
        """Branch b writes `counts[b]` rows from position `starts[b]` on."""
        branches = [b for b, count in enumerate(counts) for _ in range(count)]
        rows = [row for count in counts for row in range(count)]
        columns = [starts[b] + row for b, row in zip(branches, rows, strict=True)]
        return cls(
            first,
            first + len(counts),
            torch.tensor(branches, device=device),
            torch.tensor(rows, device=device),
            torch.tensor(columns, device=device),
            max(columns) + 1,
        )


class BranchLayer(BufferLayer):
    """One layer of all slots; where to write comes from the owner."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, owner: "BranchCache") -> None:
        super().__init__(keys, values)
        self.owner = owner

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the fresh rows [b, G, n, D] of the expected slots; return those slots' rows."""
        writes = self.owner.writes
        slots = writes.branches + writes.first
        self.keys[slots, :, writes.columns] = key_states[writes.branches, :, writes.rows]
        self.values[slots, :, writes.columns] = value_states[writes.branches, :, writes.rows]
        seen = (slice(writes.first, writes.last), slice(None), slice(0, writes.length))
        return self.keys[seen], self.values[seen]

    def get_seq_length(self) -> int:
        return self.owner.writes.length


class BranchCache(Cache):  # type: ignore[misc]
    """Keys and values [L, B, G, capacity, D] of B branches (keys rotated)."""

    writes: Writes

    def __init__(
        self,
        layout: KVLayout,
        num_branches: int,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (layout.num_layers, num_branches, layout.num_kv_heads, capacity, layout.head_dim)
        self.key_buffer = torch.zeros(shape, dtype=dtype, device=device)
        self.value_buffer = torch.zeros(shape, dtype=dtype, device=device)
        super().__init__(
            layers=[
                BranchLayer(self.key_buffer[i], self.value_buffer[i], self)
                for i in range(layout.num_layers)
            ]
        )

    @property
    def capacity(self) -> int:
        return int(self.key_buffer.shape[3])

    def expect(self, writes: Writes) -> None:
        """State where the next forward writes. Raises ValueError when a row does not fit."""
        if writes.length > self.capacity or writes.last > self.key_buffer.shape[1]:
            raise ValueError(f"rows up to {writes.length} do not fit a cache of {self.capacity}")
        self.writes = writes

    def move(self, source: int, target: int) -> None:
        """Copy a branch to another slot, whose own is given up."""
        self.key_buffer[:, target] = self.key_buffer[:, source]
        self.value_buffer[:, target] = self.value_buffer[:, source]


def branch_mask(positions: torch.Tensor, num_keys: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask [B, 1, n, num_keys] for rows at `positions` [B, n]: keys up to their own."""
    keys = torch.arange(num_keys, device=positions.device)
    mask = torch.zeros((*positions.shape, num_keys), dtype=dtype, device=positions.device)
    return mask.masked_fill_(keys > positions[..., None], float("-inf"))[:, None]
