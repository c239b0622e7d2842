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


@pytest.mark.parametrize("command", [*COMMANDS, ("ask", "When?", "-c", "town")], ids=" ".join)
def test_who_only_looks_makes_no_directory(
    larder: Larder, data_dir: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert larder(*command) == 2
    assert f"error: there is no data directory {data_dir}" in capsys.readouterr().err
    assert not data_dir.exists()


def test_files_are_the_owners_alone(larder: Larder, data_dir: Path, folder: Path) -> None:
    assert larder("ingest", str(folder), "-c", "town") == 0
    for name in ("larder.db", "secret"):
        assert (data_dir / name).stat().st_mode & 0o777 == 0o600
    (data_dir / "secret").write_bytes(b"ab")
    assert larder("collections", "ls") == 2
