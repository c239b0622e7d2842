"""`raw`: the rows as they were computed, in the compute dtype."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from kvstore.codecs.by_layer import split_layers


@dataclass(frozen=True, slots=True)
class RawCodec:
    name: str = "raw"
    lossless: bool = True

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"keys": keys, "values": values}

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return tensors["keys"].to(dtype), tensors["values"].to(dtype)

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return split_layers(self.decode, tensors, dtype)
