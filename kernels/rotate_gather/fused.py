"""rotate_gather in one Triton launch: every row is read once and written once.

Imported only where keys lie on a GPU, or by the tests under Triton's interpreter.
"""

import torch
import triton
import triton.language as tl

from kernels.rotate_gather.phases import rotation_tables

# One program turns 1,024 pairs of numbers: eight a thread of four warps. Compiled for sm_80 and
# sm_90 that takes at most 48 registers at every head size; 32 rows of 256 wide heads took 212.
PAIRS = 1024
NUM_WARPS = 4


@triton.jit  # type: ignore[untyped-decorator]
def rotate_gather_kernel(  # type: ignore[no-untyped-def]
    keys_ptr,  # [L, G, m, D], contiguous
    rows_ptr,  # int64 [n], read only where HAS_ROWS
    cos_ptr,  # [n, D/2]
    sin_ptr,  # [n, D/2]
    out_ptr,  # the first row to write: [L, G, n, D]
    num_rows,
    num_source_rows,
    num_heads,
    stride_out_layer,
    stride_out_head,
    stride_out_row,
    HALF: tl.constexpr,
    BLOCK_HALF: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    HAS_ROWS: tl.constexpr,
):
    layer_head = tl.program_id(1).to(tl.int64)
    target_rows = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    half = tl.arange(0, BLOCK_HALF)
    is_row = target_rows < num_rows
    mask = is_row[:, None] & (half[None, :] < HALF)

    if HAS_ROWS:
        source_rows = tl.load(rows_ptr + target_rows, mask=is_row, other=0)
    else:
        source_rows = target_rows.to(tl.int64)
    source_rows += layer_head * num_source_rows
    source = keys_ptr + source_rows[:, None] * (2 * HALF) + half[None, :]
    first = tl.load(source, mask=mask, other=0.0)
    second = tl.load(source + HALF, mask=mask, other=0.0)
    table = target_rows[:, None] * HALF + half[None, :]
    cos = tl.load(cos_ptr + table, mask=mask, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + table, mask=mask, other=0.0).to(tl.float32)

    # Each product is rounded to the compute dtype before the sum, as torch does it op by op.
    dtype = first.dtype
    first_cos = (first.to(tl.float32) * cos).to(dtype).to(tl.float32)
    first_sin = (first.to(tl.float32) * sin).to(dtype).to(tl.float32)
    second_cos = (second.to(tl.float32) * cos).to(dtype).to(tl.float32)
    second_sin = (second.to(tl.float32) * sin).to(dtype).to(tl.float32)

    layer = layer_head // num_heads
    head = layer_head % num_heads
    target = out_ptr + layer * stride_out_layer + head * stride_out_head
    target += target_rows.to(tl.int64)[:, None] * stride_out_row + half[None, :]
    tl.store(target, (first_cos - second_sin).to(dtype), mask=mask)
    tl.store(target + HALF, (second_cos + first_sin).to(dtype), mask=mask)


def block_shape(head_size: int) -> tuple[int, int]:
    """(rows, pairs of one row) of a program; both powers of two, as Triton wants them."""
    block_half = int(triton.next_power_of_2(head_size // 2))
    return max(1, PAIRS // block_half), block_half


def rotate_gather_fused(
    keys: torch.Tensor,
    inv_freq: torch.Tensor,
    out: torch.Tensor,
    start: int,
    attention_scaling: float,
    rows: torch.Tensor | None,
) -> None:
    num_layers, num_heads, num_source_rows, head_size = keys.shape
    num_rows = num_source_rows if rows is None else rows.numel()
    cos, sin = rotation_tables(inv_freq, attention_scaling, start, num_rows, keys)
    target = out[:, :, start : start + num_rows]
    block_rows, block_half = block_shape(head_size)
    grid = (triton.cdiv(num_rows, block_rows), num_layers * num_heads)
    rotate_gather_kernel[grid](
        keys,
        keys if rows is None else rows.to(keys.device),
        cos,
        sin,
        target,
        num_rows,
        num_source_rows,
        num_heads,
        target.stride(0),
        target.stride(1),
        target.stride(2),
        HALF=head_size // 2,
        BLOCK_HALF=block_half,
        BLOCK_ROWS=block_rows,
        HAS_ROWS=rows is not None,
        num_warps=NUM_WARPS,
        # A contracted multiply-add rounds once where torch rounds twice; this kernel waits for
        # memory anyway.
        enable_fp_fusion=False,
    )
