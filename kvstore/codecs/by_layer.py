"""Decoding layer by layer, for codecs all of whose tensors begin with the layer."""

from collections.abc import Callable, Iterator, Mapping

import torch

Pair = tuple[torch.Tensor, torch.Tensor]
Decode = Callable[[Mapping[str, torch.Tensor], torch.dtype], Pair]


def split_layers(
    decode: Decode, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> Iterator[Pair]:
    """Keys and values [1, G, n, D] of one layer after the other."""
    for layer in range(len(tensors["keys"])):
        yield decode({name: part[layer : layer + 1] for name, part in tensors.items()}, dtype)
