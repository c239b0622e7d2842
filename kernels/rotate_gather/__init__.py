"""Copy key rows to their place in a longer buffer and rotate them by their position on the way.

Knows shapes and positions only: not what the rows stand for, nor why a row was chosen.
"""

import torch

from kernels.dispatch import uses_triton
from kernels.rotate_gather.cpu import rotate_gather_cpu

_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def rotate_gather(
    keys: torch.Tensor,
    inv_freq: torch.Tensor,
    out: torch.Tensor,
    start: int,
    *,
    attention_scaling: float = 1.0,
    rows: torch.Tensor | None = None,
) -> None:
    """Rotate `keys` (RoPE, half-split) to positions start .. start + n - 1 and write them to `out`.

    keys:     [L, G, m, D] un-rotated, contiguous, fp32, fp16 or bf16.
    inv_freq: [D/2] fp32, any device: the model's own frequencies.
    out:      [L, G, N, D] of the same dtype and device; last stride 1, the others free; must not
              overlap `keys`. Only its rows start .. start + n - 1 are written.
    rows:     int64 [n] on the CPU (plans are host data): which source rows, in this order.
              Without it all m rows.

    Phases are fp32 whatever the dtype, and the result is bit-equal to what transformers'
    `apply_rotary_pos_emb` gives at the same positions.
    """
    _check_tensors(keys, inv_freq, out)
    num_rows = keys.shape[2] if rows is None else _check_rows(rows, keys.shape[2])
    if start < 0 or start + num_rows > out.shape[2]:
        raise ValueError(f"rows {start}..{start + num_rows} do not fit a buffer of {out.shape[2]}")
    if keys.numel() == 0 or num_rows == 0:
        return
    if uses_triton(keys):
        # Lazy: importing triton costs 0.2 s and is of no use without a GPU.
        from kernels.rotate_gather.fused import rotate_gather_fused

        rotate_gather_fused(keys, inv_freq, out, start, attention_scaling, rows)
    else:
        rotate_gather_cpu(keys, inv_freq, out, start, attention_scaling, rows)


def _check_tensors(keys: torch.Tensor, inv_freq: torch.Tensor, out: torch.Tensor) -> None:
    if keys.ndim != 4 or out.ndim != 4:
        raise ValueError(f"want 4 dimensions, got keys {keys.ndim} and out {out.ndim}")
    if keys.shape[:2] != out.shape[:2] or keys.shape[3] != out.shape[3]:
        raise ValueError(f"keys {tuple(keys.shape)} and out {tuple(out.shape)} differ beyond rows")
    if keys.shape[3] % 2 or tuple(inv_freq.shape) != (keys.shape[3] // 2,):
        raise ValueError(
            f"inv_freq {tuple(inv_freq.shape)} does not fit a head size of {keys.shape[3]}"
        )
    if keys.dtype not in _DTYPES or out.dtype != keys.dtype:
        raise TypeError(f"keys {keys.dtype} and out {out.dtype}: want one of fp32, fp16, bf16")
    if inv_freq.dtype != torch.float32:
        raise TypeError(f"inv_freq is {inv_freq.dtype}: phases need float32")
    if keys.device != out.device:
        raise ValueError(f"keys on {keys.device} but out on {out.device}")
    if not keys.is_contiguous():
        raise ValueError(f"keys must be contiguous, got strides {keys.stride()}")
    if out.shape[3] and out.stride(3) != 1:
        raise ValueError(f"the last stride of out must be 1, got {out.stride(3)}")


def _check_rows(rows: torch.Tensor, num_source_rows: int) -> int:
    if rows.dtype != torch.int64:
        raise TypeError(f"rows is {rows.dtype}: want int64")
    if rows.ndim != 1 or not rows.is_cpu:
        raise ValueError(f"rows must be a list on the cpu, got {tuple(rows.shape)} {rows.device}")
    if rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) < num_source_rows:
        raise ValueError(
            f"rows {int(rows.min())}..{int(rows.max())} reach outside {num_source_rows} source rows"
        )
    return rows.numel()
