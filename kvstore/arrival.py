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
        self._rows: Pair | None = None  # [L, G, k, D], filled from the front
        self._seconds = 0.0

    def take(self, layers: slice, num_layers: int) -> Pair:
        """Keys and values [l, G, k, D] of these layers, which follow those taken before. Raises
        whatever a codec makes of tensors that it did not write, StopIteration where they end."""
        started = time.perf_counter()
        for layer in range(layers.start, layers.stop):
            pair = next(self._layers)
            if self._rows is None:
                shapes = [(num_layers, *rows.shape[1:]) for rows in pair]
                self._rows = (pair[0].new_empty(shapes[0]), pair[1].new_empty(shapes[1]))
            for whole, rows in zip(self._rows, pair, strict=True):
                whole[layer] = rows[0]
        assert self._rows is not None
        self._seconds += time.perf_counter() - started
        return self._rows[0][layers], self._rows[1][layers]

    def finish(self, entry: "ChunkKV") -> None:
        """Every layer was taken: give the whole entry on. Raises ValueError where more follow."""
        if self._rows is None or next(self._layers, None) is not None:
            raise ValueError("the entry has another number of layers than the model")
        keys, values = self._rows
        self.whole(replace(entry, keys=keys, values=values, arrival=None), self._seconds)
