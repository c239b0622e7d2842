"""Cosines and sines of a run of positions: fp32 phases, cast to the compute dtype."""

import torch


def rotation_tables(
    inv_freq: torch.Tensor,
    attention_scaling: float,
    start: int,
    num_rows: int,
    like: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(cos, sin), each [num_rows, D/2], on the device and in the dtype of `like`.

    The second half of a head repeats the phases of the first, so half a table is enough.
    """
    positions = torch.arange(start, start + num_rows, dtype=torch.int64, device=like.device)
    phases = positions[:, None].float() * inv_freq.to(like.device)
    cos = (phases.cos() * attention_scaling).to(like.dtype)
    sin = (phases.sin() * attention_scaling).to(like.dtype)
    return cos, sin
