"""The fused kernel: interpreted on the CPU, compiled ahead for two GPUs, run where there is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kernels.rotate_gather import rotate_gather
from kernels.rotate_gather.naive import rotate_gather_naive

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SHARED_LIMIT_BYTES = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}
MAX_REGISTERS = 64  # so that 1,024 threads of it share a multiprocessor's 65,536


def run_alone(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: Triton decides at import whether it interprets or compiles."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=inherited | {"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_fused_in_the_interpreter() -> None:
    result = run_alone(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(HERE / "interpreted_rotate_gather.py"),
        TRITON_INTERPRET="1",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "27 passed" in result.stdout


def test_fused_compiles_ahead_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    cache = ROOT / ".cache" / "triton"
    result = run_alone(str(HERE / "ahead_of_time.py"), TRITON_CACHE_DIR=str(cache))
    assert result.returncode == 0, result.stderr
    builds = json.loads(result.stdout)
    with capsys.disabled():
        print_table(builds)
    assert len(builds) == 24
    for build in builds:
        assert build["stack_bytes"] == 0, f"spills: {build}"
        assert build["registers"] <= MAX_REGISTERS, build
        assert build["shared_bytes"] <= SHARED_LIMIT_BYTES[build["target"]], build
        assert build["fused_multiply_adds"] == 0, build


def print_table(builds: list[dict[str, object]]) -> None:
    lines = ["", "rotate_gather, compiled ahead (proves building and resource use, not speed)"]
    columns = ("target", "dtype", "head_size", "rows", "registers", "stack_bytes", "shared_bytes")
    lines.append("  ".join(f"{column:>12}" for column in columns))
    lines += ["  ".join(f"{build[column]!s:>12}" for column in columns) for build in builds]
    sys.stdout.write("\n".join(lines) + "\n")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_fused_on_a_gpu_equals_naive_bit_for_bit(dtype: torch.dtype) -> None:
    keys = torch.randn(30, 3, 221, 64, device="cuda").to(dtype)
    inv_freq = 1.0 / (10_000 ** (torch.arange(0, 64, 2, dtype=torch.float32) / 64))
    rows = torch.randperm(221)[:150]
    fused = torch.full((30, 3, 9_000, 64), float("nan"), dtype=dtype, device="cuda")
    naive = fused.clone()
    rotate_gather(keys, inv_freq, fused, 8_500, rows=rows)
    rotate_gather_naive(keys, inv_freq, naive, 8_500, 1.0, rows)
    assert torch.equal(fused[:, :, 8_500:8_650], naive[:, :, 8_500:8_650])
    assert torch.isnan(fused[:, :, :8_500]).all()
    assert torch.isnan(fused[:, :, 8_650:]).all()
