"""kill -9 of `larder ingest` with the real models: the next run completes, nothing twice or lost.

The fast variant with fakes (tests/integration/app_ingest) kills oftener; this one holds real files,
vectors and KV against one another.
"""

import json
import random
import sqlite3
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from retrieval.segmentation import index_words
from tests.e2e.conftest import NewDataDir
from tests.support.packaged_model import ROOT
from tests.support.processes import command, environment, run_larder

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NUM_DOCUMENTS = 3
# Killed once this many rows are there, and a little later: while documents are embedded, when
# the first KV is written, and in the middle of it.
MOMENTS = (
    ("SELECT count(*) FROM embeddings", 1),
    ("SELECT count(*) FROM kv_entries", 4),
    ("SELECT count(*) FROM chunks WHERE is_cached", 2),
)
WAIT_S = 600
DIMENSION = 384


def write_documents(folder: Path) -> None:
    folder.mkdir()
    for number in range(NUM_DOCUMENTS):
        lines = [
            f"Entry {line} of volume {number}: the {noun} of house {number * 10 + line} was "
            f"counted again, and {line * 7 + number} were found to be in good order."
            for line, noun in enumerate(["barrels", "carts", "lamps", "ropes", "sacks"] * 4)
        ]
        text = f"# Volume {number}\n\n" + "\n\n".join(lines) + "\n"
        (folder / f"volume{number}.md").write_text(text, encoding="utf-8")


def count(data_dir: Path, statement: str) -> int:
    """Zero while there is no such table yet."""
    database = data_dir / "larder.db"
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute(statement).fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def start_and_kill(data_dir: Path, folder: Path, moment: tuple[str, int], delay: float) -> None:
    statement, enough = moment
    with (data_dir.parent / "ingest.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command("ingest", str(folder), "-c", "books", "-s", "archive"),
            cwd=ROOT,
            env=environment(data_dir),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + WAIT_S
            while process.poll() is None and count(data_dir, statement) < enough:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(delay)
        finally:
            process.kill()
            process.wait()


def test_ingestion_killed_three_times_ends_whole(tmp_path: Path, new_data_dir: NewDataDir) -> None:
    chance = random.Random(20261122)
    data_dir, folder = new_data_dir(tmp_path / "data"), tmp_path / "books"
    write_documents(folder)
    for moment in MOMENTS:
        start_and_kill(data_dir, folder, moment, chance.uniform(0, 0.3))
    done = run_larder(data_dir, "ingest", str(folder), "-c", "books", "-s", "archive", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["documents"], report["failures"]) == (NUM_DOCUMENTS, [])
    assert report["chunks_cached"] == report["chunks"] > NUM_DOCUMENTS
    check_database(data_dir, folder)
    check_files(data_dir)


def check_database(data_dir: Path, folder: Path) -> None:
    connection = sqlite3.connect(data_dir / "larder.db")
    connection.create_function("larder_words", 1, index_words, deterministic=True)
    try:
        texts = dict(connection.execute("SELECT name, text FROM documents WHERE state = 'ready'"))
        assert texts == {p.name: p.read_text(encoding="utf-8") for p in folder.iterdir()}
        chunks = connection.execute("SELECT document_id, start, text FROM chunks").fetchall()
        assert len(set(chunks)) == len(chunks)
        assert connection.execute("SELECT count(*) FROM document_bodies").fetchone() == (0,)
        connection.execute("INSERT INTO chunks_fts(chunks_fts, rank) VALUES ('integrity-check', 1)")
        assert connection.execute("SELECT count(*) FROM chunks_fts").fetchone() == (len(chunks),)
        vectors = [row[0] for row in connection.execute("SELECT vector FROM embeddings")]
        assert len(vectors) == len(chunks)
        lengths = np.linalg.norm([np.frombuffer(v, "<f4") for v in vectors], axis=1)
        assert np.allclose(lengths, 1, atol=1e-3)
        assert {len(vector) for vector in vectors} == {4 * DIMENSION}
    finally:
        connection.rollback()
        connection.close()


def check_files(data_dir: Path) -> None:
    """P and two primers, and each distinct chunk in both encodings; all whole and all listed."""
    connection = sqlite3.connect(data_dir / "larder.db")
    listed = dict(connection.execute("SELECT digest, num_tokens FROM kv_entries"))
    (distinct,) = connection.execute("SELECT count(DISTINCT tokens_sha256) FROM chunks").fetchone()
    connection.close()
    paths = list((data_dir / "kv").rglob("*.safetensors"))
    assert {path.stem for path in paths} == listed.keys()
    assert len(paths) == 3 + 2 * distinct
    for path in paths:
        with safe_open(path, framework="np") as file:
            assert file.get_slice("token_ids").get_shape() == [listed[path.stem]]
    assert not list((data_dir / "kv").rglob("*.tmp"))
    assert not list((data_dir / "kv" / "quarantine").iterdir())
