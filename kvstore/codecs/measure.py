"""What a codec costs and loses on given rows: one line of a table. Knows no model."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from kvstore.entry_file import from_bytes, to_bytes
from kvstore.keys import content_id, entry_key
from kvstore.protocols import Codec
from kvstore.types import ChunkKV

MB = 10**6


@dataclass(frozen=True, slots=True)
class CodecFigures:
    """Rates count bytes in the compute dtype, checksum and file header included."""

    codec: str
    bytes_per_token: float
    encode_mb_s: float
    decode_mb_s: float
    max_error: float  # largest difference of any key or value


def measure_codec(
    codec: Codec, keys: torch.Tensor, values: torch.Tensor, *, repeats: int = 5
) -> CodecFigures:
    """Encode and decode rows [L, G, n, D] `repeats` times; medians."""
    ids = tuple(range(keys.shape[2]))
    key = entry_key("namespace", f"codec:{codec.name}", content_id(ids), ())
    entry = ChunkKV(key, ids, keys, values)
    data = to_bytes(entry, codec)
    found = from_bytes(data, key)
    errors = [(found.keys.float() - keys.float()), (found.values.float() - values.float())]
    return CodecFigures(
        codec=codec.name,
        bytes_per_token=len(data) / len(ids),
        encode_mb_s=entry.num_bytes / MB / _seconds(lambda: to_bytes(entry, codec), repeats),
        decode_mb_s=entry.num_bytes / MB / _seconds(lambda: from_bytes(data, key), repeats),
        max_error=max(float(error.abs().max()) for error in errors),
    )


def _seconds(run: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
