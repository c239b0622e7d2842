"""Compute the KV of segments exactly under their stated context (DESIGN 4 and 5).

`head`: behind the prefix P. `primed`: behind P and primers, passages it does not bring along.
Several chunks share one forward behind the same context, block by block (Prepacking).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from kvstore.cache import ScatterCache
from kvstore.capture import captured_keys
from kvstore.position import Rotator
from kvstore.runner import ModelRunner

TokenIds = tuple[int, ...]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Rows:
    """Exactly computed rows: keys before rotation and values, both [L, G, n, D]."""

    keys: torch.Tensor
    values: torch.Tensor

    @property
    def num_tokens(self) -> int:
        return int(self.keys.shape[2])


class Encoder:
    """Computes rows; stores nothing."""

    def __init__(self, runner: ModelRunner, pack_tokens: int) -> None:
        self.runner = runner
        self.rotator = Rotator(runner.model)
        self.pack_tokens = pack_tokens

    def encode(self, context: Sequence[Rows], segments: Sequence[TokenIds]) -> Iterator[Rows]:
        """Rows of each segment, each as if it alone followed `context`, in order."""
        for batch in pack(segments, self.pack_tokens, len):
            yield from self._encode_batch(context, batch)

    def _encode_batch(self, context: Sequence[Rows], batch: Sequence[TokenIds]) -> Iterator[Rows]:
        lengths = [len(ids) for ids in batch]
        num_context = sum(rows.num_tokens for rows in context)
        cache = self.runner.new_cache(num_context + sum(lengths))
        fill_cache(cache, context, self.rotator)
        device = self.runner.device
        ids = torch.tensor([t for ids in batch for t in ids], device=device)
        positions = torch.cat([torch.arange(n, device=device) for n in lengths]) + num_context
        mask = packed_mask(lengths, num_context, self.runner.dtype).to(device)
        with captured_keys(self.runner.model) as keys:
            self.runner.forward_packed(ids, positions, num_context, cache, mask)
        start = 0
        for n in lengths:
            span = slice(start, start + n)
            behind = slice(num_context + start, num_context + start + n)
            yield Rows(
                torch.stack([layer[:, span] for layer in keys]),
                cache.value_buffer[:, 0, :, behind].clone(),
            )
            start += n


def fill_cache(cache: ScatterCache, context: Sequence[Rows], rotator: Rotator) -> int:
    """Copy rows to the start of `cache`, keys rotated to their places; returns how many."""
    start = 0
    for rows in context:
        keys = rows.keys.to(cache.key_buffer.device)  # stored rows lie in host memory
        rotator.place(keys, cache.key_buffer[:, 0], start)
        cache.value_buffer[:, 0, :, start : start + rows.num_tokens].copy_(rows.values)
        start += rows.num_tokens
    return start


def pack(items: Sequence[Item], limit: int, size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Group neighbours so that a group's sizes add up to at most `limit` (one may exceed it)."""
    batch: list[Item] = []
    total = 0
    for item in items:
        if batch and total + size(item) > limit:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch


def packed_mask(lengths: Sequence[int], num_context: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask [1, 1, T, num_context + T]: a segment sees the context and itself, causally."""
    total = sum(lengths)
    block = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    row = torch.arange(total)
    visible = (block[:, None] == block[None, :]) & (row[None, :] <= row[:, None])
    mask = torch.zeros(total, num_context + total, dtype=dtype)
    mask[:, num_context:].masked_fill_(~visible, float("-inf"))
    return mask[None, None]
