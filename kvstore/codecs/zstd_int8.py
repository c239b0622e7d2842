"""`zstd_int8`: what int8 writes, entropy-coded by zstd. A cold codec: fewer bytes, slower.

Keys are laid out token after token within a channel, as they share a distribution there. The
package `zstandard` is an extra (`cold`) and loaded at first use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType

import safetensors.torch
import torch

from kvstore.codecs.int8 import Int8Codec
from kvstore.errors import UnknownCodec

LEVEL = 3


@dataclass(frozen=True, slots=True)
class ZstdInt8Codec:
    name: str = "zstd_int8"
    lossless: bool = False
    inner: Int8Codec = field(default_factory=Int8Codec)

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
        tensors = self.inner.encode(keys, values)
        tensors["keys"] = tensors["keys"].transpose(2, 3).contiguous()
        packed = _zstandard().ZstdCompressor(level=LEVEL).compress(safetensors.torch.save(tensors))
        return {"packed": torch.frombuffer(bytearray(packed), dtype=torch.uint8)}

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inner.decode(_unpacked(tensors), dtype)

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All is unpacked before the first layer: one stream holds them all."""
        return self.inner.layers(_unpacked(tensors), dtype)


def _unpacked(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    packed = tensors["packed"].numpy().tobytes()
    inner = safetensors.torch.load(_zstandard().ZstdDecompressor().decompress(packed))
    inner["keys"] = inner["keys"].transpose(2, 3).contiguous()  # what places rows asks for it
    return inner


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError as error:
        raise UnknownCodec("the codec zstd_int8 needs the package zstandard") from error
    return zstandard
