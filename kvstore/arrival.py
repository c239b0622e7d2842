"""Rows of a checked entry that are decoded layer by layer, while a prompt is computed already."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from kvstore.types import ChunkKV

Pair = tuple[torch.Tensor, torch.Tensor]
Whole = Callable[["ChunkKV", float], None]


class Arrival:
    """For one thread. `layers`: keys and values [1, G, k, D], each decoded when it is asked for.

    `whole` gets the complete entry after its last layer, and the seconds that decoding took.
    """

    def __init__(self, layers: Iterator[Pair]) -> None:
        self.whole: Whole = lambda _entry, _seconds: None
        self._layers = layers
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._seconds = 0.0

    def take(self, layers: slice) -> Pair:
        """Keys and values [l, G, k, D] of these layers, which follow those taken before. Raises
        whatever a codec makes of tensors that it did not write, StopIteration where they end."""
        started = time.perf_counter()
        while len(self._keys) < layers.stop:
            keys, values = next(self._layers)
            self._keys.append(keys)
            self._values.append(values)
        self._seconds += time.perf_counter() - started
        return torch.cat(self._keys[layers]), torch.cat(self._values[layers])

    def finish(self, entry: "ChunkKV") -> None:
        """Every layer was taken: give the whole entry on."""
        started = time.perf_counter()
        keys, values = torch.cat(self._keys), torch.cat(self._values)
        self._seconds += time.perf_counter() - started
        self.whole(replace(entry, keys=keys, values=values, arrival=None), self._seconds)
