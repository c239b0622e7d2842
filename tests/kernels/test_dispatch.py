"""A fused kernel runs where it can be launched, and nowhere else."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from kernels import dispatch


@pytest.fixture(autouse=True)
def fresh_answer() -> Iterator[None]:
    dispatch.can_launch_triton.cache_clear()
    yield
    dispatch.can_launch_triton.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path) -> SimpleNamespace:
    """A machine with Triton, gcc and Python's headers; tests take one away."""
    (tmp_path / "Python.h").touch()
    parts = SimpleNamespace(spec=object(), compilers={"gcc": "/usr/bin/gcc"}, include=tmp_path)
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: parts.spec)
    monkeypatch.setattr(dispatch.shutil, "which", lambda name: parts.compilers.get(name))
    monkeypatch.setattr(dispatch.sysconfig, "get_paths", lambda: {"include": str(parts.include)})
    return parts


def test_a_tensor_of_the_cpu_never_goes_to_triton(machine: SimpleNamespace) -> None:
    assert not dispatch.uses_triton(torch.zeros(1))


def test_triton_with_a_compiler_and_headers(machine: SimpleNamespace) -> None:
    assert dispatch.can_launch_triton()
    assert dispatch.uses_triton(SimpleNamespace(is_cuda=True))


def test_no_triton(machine: SimpleNamespace) -> None:
    machine.spec = None
    assert not dispatch.can_launch_triton()


def test_no_compiler(machine: SimpleNamespace) -> None:
    machine.compilers = {}
    assert not dispatch.can_launch_triton()


def test_no_headers(machine: SimpleNamespace) -> None:
    machine.include /= "nowhere"
    assert not dispatch.can_launch_triton()
