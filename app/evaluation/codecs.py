"""Bytes, rates and error of every codec on made-up rows (`larder bench codecs`). No model.

The rows are like a model's where it matters to a codec: keys have a few channels with a large
offset and range (KIVI, arXiv 2402.02750), values have none. What a codec does to answers is
measured with a model, not here.
"""

from dataclasses import asdict

import torch

from kvstore.codecs import CODECS
from kvstore.codecs.measure import measure_codec

LAYERS, KV_HEADS, HEAD_DIM = 30, 3, 64  # SmolLM2-135M
OUTLIERS = 4  # channels of each head


def bench_codecs(tokens: int, dtype: torch.dtype, repeats: int) -> list[dict[str, object]]:
    """One row a codec; `max_error` is the largest difference of any key or value."""
    keys, values = make_rows(tokens, dtype)
    return [
        asdict(measure_codec(codec, keys, values, repeats=repeats)) for codec in CODECS.values()
    ]


def make_rows(tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values [30, 3, tokens, 64], the same at every call."""
    generator = torch.Generator().manual_seed(0)
    shape = (LAYERS, KV_HEADS, tokens, HEAD_DIM)
    keys = torch.randn(shape, generator=generator)
    keys[..., :OUTLIERS] = keys[..., :OUTLIERS] * 4 + 10
    values = torch.randn(shape, generator=generator)
    return keys.to(dtype), values.to(dtype)
