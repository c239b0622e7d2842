"""KV that cannot be written: the document is found and answered from all the same."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDataDir
from tests.support.processes import run_larder

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# The database with its log and the KV of P stay below this; that of a passage, 46 KB a token, not.
FILE_LIMIT = 4_500_000
FLOAT32 = {"dtype": "float32"}  # so that answers can be compared word by word
QUESTION = "Who paid for the repair of the town clock?"
PARAGRAPH = (
    "The town clock of Millbrook stopped in the winter of 1907. Its repair was paid for by the "
    "brewer Adam Kessler, who gave 900 marks. {} The work took eleven weeks, because a new wheel "
    "had to be cast in the next town, and for so long the hours were rung by hand.\n\n"
)


def write_clock(folder: Path) -> Path:
    path = folder / "clock.md"
    notes = [f"The council noted this in volume {number} of its books." for number in range(8)]
    path.write_text("# The clock\n\n" + "".join(map(PARAGRAPH.format, notes)), encoding="utf-8")
    return path


def test_a_refused_write_leaves_the_document_usable(
    tmp_path: Path, new_data_dir: NewDataDir
) -> None:
    data_dir = new_data_dir(tmp_path / "data")
    path = write_clock(tmp_path)
    arguments = ("ingest", str(path), "-c", "town", "--json")
    done = run_larder(data_dir, *arguments, file_limit=FILE_LIMIT, **FLOAT32)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["documents"], report["failures"], report["chunks_cached"]) == (1, [], 0)
    assert report["chunks"] >= 2
    assert rows(data_dir, "SELECT state FROM documents") == [("ready",)]
    assert not list((data_dir / "kv").rglob("*.tmp"))
    check_index(data_dir)
    full = ask(data_dir, "auto", file_limit=FILE_LIMIT)
    assert "Kessler" in full["answer"]
    assert full["citations"]
    off = ask(data_dir, "off")
    assert full["answer"] == off["answer"]
    assert {s["reason"] for s in full["plan"]["segments"] if s["kind"] == "chunk"} == {"not_stored"}


def ask(data_dir: Path, mode: str, file_limit: int | None = None) -> dict:
    arguments = ("ask", QUESTION, "-c", "town", "--reuse", mode, "--max-tokens", "40", "--json")
    done = run_larder(data_dir, *arguments, file_limit=file_limit, **FLOAT32)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_index(data_dir: Path) -> None:
    """Every file is listed with its size and none is listed that is not there."""
    files = {path.stem: path.stat().st_size for path in (data_dir / "kv").rglob("*.safetensors")}
    assert dict(rows(data_dir, "SELECT digest, num_bytes FROM kv_entries")) == files


def rows(data_dir: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(f"file:{data_dir / 'larder.db'}?mode=ro", uri=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
