"""The command line with a fake decoder, over a data directory of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from tests.fakes.app import use_fakes
from tests.fakes.decoder import FakeDecoder

ANSWER = "The pool opens at 7:00 on weekdays. A day ticket costs 4.80 euros."
POOL = """# Kiln Lane pool

The pool in Kiln Lane opens at 7:00 on weekdays and at 9:30 at weekends.

A day ticket for the pool costs 4.80 euros. Children under six swim free.
"""
BUDGET = """# Budget

The council approved 1,250,000 euros for the bridge over the river.
"""

Larder = Callable[..., int]


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> FakeDecoder:
    fake = FakeDecoder(ANSWER)
    use_fakes(monkeypatch, fake)
    return fake


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LARDER_DATA_DIR", str(path))
    return path


@pytest.fixture
def larder(data_dir: Path, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch) -> Larder:
    """Runs a command line; returns the exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["larder", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return code if isinstance(code, int) else 0

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents, one in a folder below, and files nobody asked for."""
    root = tmp_path / "texts"
    (root / "town").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "pool.md").write_text(POOL, encoding="utf-8")
    (root / "town" / "budget.md").write_text(BUDGET, encoding="utf-8")
    (root / ".git" / "config").write_text("hidden", encoding="utf-8")
    return root
