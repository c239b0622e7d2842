"""Data directories that are none: one line and exit code 2, whatever the command."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Larder

COMMANDS = [("collections", "ls"), ("sources", "ls"), ("cache", "stats")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("content", [b"\x9c\x01random bytes" * 300, None], ids=["bytes", "folder"])
def test_a_database_that_is_none(
    larder: Larder,
    data_dir: Path,
    command: tuple[str, str],
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_dir.mkdir()
    if content is None:
        (data_dir / "larder.db").mkdir()
    else:
        (data_dir / "larder.db").write_bytes(content)
    assert larder(*command) == 2
    assert "error: Larder's database cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_data_directory_that_is_a_file(
    larder: Larder, data_dir: Path, command: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir.write_text("x", encoding="utf-8")
    assert larder(*command) == 2
    assert "error: " + str(data_dir) in capsys.readouterr().err
