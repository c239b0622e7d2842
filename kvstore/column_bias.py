"""A number added to the attention scores of a chunk's keys, for every row behind the chunk.

It changes how much later rows listen to the chunk. What is stored of a chunk was computed without
it and stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kvstore.types import Segment


@dataclass(frozen=True, slots=True)
class ColumnBias:
    """values [N] float32 of each key of a prompt, ends [N] int64: first row that feels it."""

    values: torch.Tensor
    ends: torch.Tensor

    @classmethod
    def of(cls, segments: Sequence[Segment], device: torch.device) -> "ColumnBias | None":
        """None where no segment has one: nothing is added, which keeps results bit for bit."""
        if not any(segment.bias for segment in segments):
            return None
        values: list[float] = []
        ends: list[int] = []
        for segment in segments:
            end = len(values) + len(segment.token_ids)
            ends += [end] * len(segment.token_ids)
            values += [segment.bias] * len(segment.token_ids)
        return cls(
            torch.tensor(values, dtype=torch.float32, device=device),
            torch.tensor(ends, dtype=torch.int64, device=device),
        )

    def added(self, mask: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """`mask` [1, 1, n, keys] with the bias; `rows` [n] are its rows' places in the prompt."""
        count = min(mask.shape[-1], len(self.values))
        felt = rows[:, None] >= self.ends[None, :count]
        biased = mask.clone()
        biased[0, 0, :, :count] += torch.where(felt, self.values[:count], 0.0).to(mask.dtype)
        return biased
