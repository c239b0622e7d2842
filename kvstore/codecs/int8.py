"""`int8`: keys per channel over the entry's tokens, values per token over the head's channels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from kvstore.codecs.affine import CHANNELS, TOKENS, dequantise, of_file, quantise
from kvstore.codecs.by_layer import split_layers

BITS = 8


@dataclass(frozen=True, slots=True)
class Int8Codec:
    name: str = "int8"
    lossless: bool = False

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
        num_tokens, head_dim = keys.shape[TOKENS:]
        coded = quantise(keys, TOKENS, BITS, group=num_tokens).named("keys")
        return coded | quantise(values, CHANNELS, BITS, group=head_dim, stats=torch.bfloat16).named(
            "values"
        )

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = of_file(tensors, "keys"), of_file(tensors, "values")
        num_tokens, head_dim = keys.codes.shape[TOKENS:]
        return (
            dequantise(keys, TOKENS, group=num_tokens, dtype=dtype),
            dequantise(values, CHANNELS, group=head_dim, dtype=dtype),
        )

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return split_layers(self.decode, tensors, dtype)
