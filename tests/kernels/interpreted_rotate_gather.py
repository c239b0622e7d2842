"""The fused kernel against the plain one in Triton's interpreter.

Not named test_*: test_rotate_gather_fused.py runs it in a process with TRITON_INTERPRET=1.
"""

import os

import pytest
import torch

from kernels.rotate_gather.fused import rotate_gather_fused
from kernels.rotate_gather.naive import rotate_gather_naive

TOLERANCE = {torch.float32: 1e-6, torch.float16: 1e-3}


def inv_freq_of(head_size: int) -> torch.Tensor:
    return 1.0 / (10_000 ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size))


def poisoned(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.full(shape, float("nan"), dtype=dtype)


def test_the_interpreter_is_on() -> None:
    assert os.environ["TRITON_INTERPRET"] == "1"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("num_heads", [1, 3, 8])
@pytest.mark.parametrize(("num_rows", "head_size"), [(1, 64), (33, 64), (17, 80), (9, 256)])
def test_fused_equals_naive(
    num_rows: int, head_size: int, num_heads: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(num_rows + num_heads)
    keys = torch.randn(2, num_heads, num_rows, head_size).to(dtype)
    inv_freq = inv_freq_of(head_size)
    fused = poisoned(2, num_heads, num_rows + 7, head_size, dtype=dtype)
    naive = fused.clone()
    rotate_gather_fused(keys, inv_freq, fused, 4, 1.0, None)
    rotate_gather_naive(keys, inv_freq, naive, 4, 1.0, None)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(fused, naive, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert torch.isnan(fused[:, :, :4]).all()
    assert torch.isnan(fused[:, :, 4 + num_rows :]).all()
    assert not torch.isnan(fused[:, :, 4 : 4 + num_rows]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_chosen_rows_and_a_strided_destination(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    keys = torch.randn(2, 3, 21, 64).to(dtype)
    rows = torch.tensor([20, 0, 7, 7, 3])
    whole = poisoned(2, 3, 5, 40, 64, dtype=dtype)
    destination = whole[:, :, 2]  # a head stride five times that of a plain buffer
    expected = torch.empty(2, 3, 40, 64, dtype=dtype)
    rotate_gather_fused(keys, inv_freq_of(64), destination, 30, 1.5, rows)
    rotate_gather_naive(keys, inv_freq_of(64), expected, 30, 1.5, rows)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(
        destination[:, :, 30:35], expected[:, :, 30:35], rtol=tolerance, atol=tolerance
    )
    assert int((~torch.isnan(whole)).sum()) == 2 * 3 * 5 * 64
