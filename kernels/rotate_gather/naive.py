"""The plain torch truth of rotate_gather: written to be compared with, not to be fast."""

import torch

from kernels.rotate_gather.phases import rotation_tables


def rotate_gather_naive(
    keys: torch.Tensor,
    inv_freq: torch.Tensor,
    out: torch.Tensor,
    start: int,
    attention_scaling: float,
    rows: torch.Tensor | None,
) -> None:
    chosen = keys if rows is None else keys[:, :, rows.to(keys.device)]  # [L, G, n, D]
    num_rows, head_size = chosen.shape[2:]
    cos, sin = rotation_tables(inv_freq, attention_scaling, start, num_rows, keys)
    cos = torch.cat((cos, cos), dim=-1)
    sin = torch.cat((sin, sin), dim=-1)
    first, second = chosen[..., : head_size // 2], chosen[..., head_size // 2 :]
    rotated_half = torch.cat((-second, first), dim=-1)
    out[:, :, start : start + num_rows] = chosen * cos + rotated_half * sin
