"""Compile rotate_gather for GPUs that are not here and print what each build uses, as JSON.

Run as a program in a process of its own: Triton serves either its interpreter or its compiler.
"""

import json
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels.rotate_gather.fused import NUM_WARPS, block_shape, rotate_gather_kernel

TARGETS = (80, 90)
DTYPES = ("fp32", "fp16", "bf16")
HEAD_SIZES_AND_ROWS = ((64, False), (64, True), (128, True), (256, True))
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
POINTERS = ("keys_ptr", "rows_ptr", "cos_ptr", "sin_ptr", "out_ptr")
NUMBERS = ("num_rows", "num_source_rows", "num_heads")
STRIDES = ("stride_out_layer", "stride_out_head", "stride_out_row")


def compile_one(arch: int, dtype: str, head_size: int, has_rows: bool) -> dict[str, object]:
    block_rows, block_half = block_shape(head_size)
    constants = {
        "HALF": head_size // 2,
        "BLOCK_HALF": block_half,
        "BLOCK_ROWS": block_rows,
        "HAS_ROWS": has_rows,
    }
    signature = dict.fromkeys(POINTERS, f"*{dtype}") | {"rows_ptr": "*i64"}
    signature |= dict.fromkeys(NUMBERS + STRIDES, "i32") | dict.fromkeys(constants, "constexpr")
    # Torch aligns what it allocates, so a launch would specialise on 16-byte divisibility too.
    aligned = {(index,): [["tt.divisibility", 16]] for index in range(len(POINTERS))}
    source = ASTSource(
        fn=rotate_gather_kernel, signature=signature, constexprs=constants, attrs=aligned
    )
    built = triton.compile(
        source,
        target=GPUTarget("cuda", arch, 32),
        options={"num_warps": NUM_WARPS, "enable_fp_fusion": False},
    )
    usage = resource_usage(built.asm["cubin"])
    return {
        "target": f"sm_{arch}",
        "dtype": dtype,
        "head_size": head_size,
        "rows": has_rows,
        "registers": usage["REG"],
        "stack_bytes": usage["STACK"],
        "shared_bytes": built.metadata.shared,
        "fused_multiply_adds": built.asm["ptx"].count("fma.rn.f32"),
    }


def resource_usage(cubin: bytes) -> dict[str, int]:
    """Registers and stack as the driver would see them: REG:44 STACK:0 SHARED:0 ..."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(CUOBJDUMP), "-res-usage", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    fields = (part.split(":") for part in text.strip().splitlines()[-1].split())
    return {name: int(value) for name, value in fields}


def main() -> None:
    builds = [
        compile_one(arch, dtype, head_size, has_rows)
        for arch, dtype, (head_size, has_rows) in product(TARGETS, DTYPES, HEAD_SIZES_AND_ROWS)
    ]
    json.dump(builds, sys.stdout)


if __name__ == "__main__":
    main()
