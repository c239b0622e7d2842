"""kill -9 at random moments: nothing that was acknowledged is lost, nothing is there twice."""

import multiprocessing
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.ingest_child import NUM_DOCUMENTS, FolderStore, body_of, run_child
from tests.fakes.ingest_parts import HashEmbedder
from tests.support.tables import Tables

NUM_KILLS = 10
NUM_DELETES = 5
FIRST_DOCUMENTS = f"SELECT id FROM documents ORDER BY id LIMIT {NUM_DELETES + 1}"
LINES = 4  # per document; the first is the same in all
MOST_BATCHES = 30  # before a kill; there are 7 a document: parse, 2 + 1 to embed, 2 + 1 for KV
WAIT_S = 300

# Forked from a process that has imported everything, a child starts in a few milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.ingest_child"])


def start(root: Path, tables: Tables, delete_id: int | None = None):
    for name in ("prepared", "done"):
        (root / name).unlink(missing_ok=True)
    (root / "batches").write_bytes(b"")
    child = CONTEXT.Process(target=run_child, args=(str(root), tables.url, delete_id))
    child.start()
    return child


def wait_for(child, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while child.is_alive() and not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def kill(child) -> None:
    child.kill()
    child.join()
    assert child.exitcode in {-signal.SIGKILL, 0}  # or it was through; it never failed by itself
    child.close()


def finish(root: Path, tables: Tables, delete_id: int | None = None) -> None:
    child = start(root, tables, delete_id)
    child.join(WAIT_S)
    assert child.exitcode == 0
    assert (root / "done").exists()
    child.close()


def acknowledged(root: Path) -> set[str]:
    path = root / "acknowledged"
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def check_in_step(root: Path, tables: Tables, num_documents: int) -> None:
    """Documents, chunks, words, vectors and KV agree with one another."""
    num_chunks = num_documents * LINES
    tables.check_sound()
    for table in ("chunks", "chunks WHERE is_cached", "embeddings"):
        assert tables.rows(f"SELECT count(*) FROM {table}") == [(num_chunks,)], table
    assert tables.rows("SELECT count(*) FROM document_bodies") == [(0,)]
    assert tables.rows("SELECT count(*) FROM pending_purges") == [(0,)]
    distinct = {text for (text,) in tables.rows("SELECT text FROM chunks")}
    assert len(distinct) == num_documents * (LINES - 1) + 1
    kv = FolderStore(root / "kv")
    files = {path.name for path in (root / "kv").iterdir()}
    assert files == {kv.path(tuple(text.encode())).name for text in distinct}


@pytest.mark.slow
def test_ingestion_killed_ten_times_ends_as_if_it_never_had_been(
    tmp_path: Path, tables: Tables
) -> None:
    chance = random.Random(20261122)
    promised: set[str] = set()
    for _ in range(NUM_KILLS):
        child = start(tmp_path, tables)
        num_batches = chance.randrange(MOST_BATCHES)
        wait_for(child, lambda n=num_batches: (tmp_path / "batches").stat().st_size >= n)
        time.sleep(chance.uniform(0, 0.02))
        kill(child)
        promised |= acknowledged(tmp_path)
        names = [name for (name,) in tables.rows("SELECT name FROM documents")]
        assert len(names) == len(set(names))
        assert promised <= set(names)
    finish(tmp_path, tables)
    documents = tables.rows("SELECT name, state, size_bytes, text FROM documents")
    expected = [
        (f"{number}.txt", "ready", len(body_of(number)), body_of(number).decode())
        for number in range(NUM_DOCUMENTS)
    ]
    assert sorted(documents) == sorted(expected)
    check_in_step(tmp_path, tables, NUM_DOCUMENTS)
    embedder = HashEmbedder()
    stored = tables.rows("SELECT label, text, vector FROM chunks JOIN embeddings ON chunk_id = id")
    for label, text, vector in stored:
        assert embedder.encode([f"{label}\n{text}"]).tobytes() == vector


@pytest.mark.slow
def test_a_delete_killed_at_any_moment_is_whole_after_the_next_start(
    tmp_path: Path, tables: Tables
) -> None:
    finish(tmp_path, tables)
    *deleted, last = [number for (number,) in tables.rows(FIRST_DOCUMENTS)]
    chance = random.Random(7)
    for document_id in deleted:
        child = start(tmp_path, tables, document_id)
        wait_for(child, lambda: (tmp_path / "prepared").exists())
        time.sleep(chance.uniform(0, 0.1))
        kill(child)
        if tables.rows(f"SELECT id FROM documents WHERE id = {document_id}"):
            finish(tmp_path, tables, delete_id=document_id)
    # One more start, which makes up for purges that were cut off, and one more delete.
    finish(tmp_path, tables, delete_id=last)
    check_in_step(tmp_path, tables, NUM_DOCUMENTS - NUM_DELETES - 1)
