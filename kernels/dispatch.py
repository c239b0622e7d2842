"""May a fused kernel run on this tensor here? The only place that decides; knows no operation."""

import functools
import importlib.util
import shutil
import sysconfig
from pathlib import Path

import torch


def uses_triton(tensor: torch.Tensor) -> bool:
    return tensor.is_cuda and can_launch_triton()


@functools.cache
def can_launch_triton() -> bool:
    """Triton builds a small C launcher at the first launch: that takes a compiler and Python.h.

    A machine with a GPU but without them runs plain torch instead of failing at the first answer.
    """
    if importlib.util.find_spec("triton") is None:
        return False
    has_compiler = bool(shutil.which("gcc") or shutil.which("clang"))
    return has_compiler and (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file()
