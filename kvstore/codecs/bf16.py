"""`bf16`: eight bits of mantissa; half the bytes of rows computed in fp32."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from kvstore.codecs.by_layer import split_layers


@dataclass(frozen=True, slots=True)
class Bf16Codec:
    name: str = "bf16"
    lossless: bool = False

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"keys": keys.to(torch.bfloat16), "values": values.to(torch.bfloat16)}

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return tensors["keys"].to(dtype), tensors["values"].to(dtype)

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return split_layers(self.decode, tensors, dtype)
