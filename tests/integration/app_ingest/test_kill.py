"""kill -9 at random moments: nothing that was acknowledged is lost, nothing is there twice."""

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.segmentation import index_words
from tests.fakes.ingest_child import NUM_DOCUMENTS, FolderStore, body_of, run_child
from tests.fakes.ingest_parts import HashEmbedder

NUM_KILLS = 10
LINES = 4  # per document; the first is the same in all
MOST_BATCHES = 30  # before a kill; there are 7 a document: parse, 2 + 1 to embed, 2 + 1 for KV
WAIT_S = 300

# Forked from a process that has imported everything, a child starts in a few milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.ingest_child"])


def start(root: Path, delete_id: int | None = None):
    for name in ("prepared", "done"):
        (root / name).unlink(missing_ok=True)
    (root / "batches").write_bytes(b"")
    child = CONTEXT.Process(target=run_child, args=(str(root), delete_id))
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
    child.close()


def finish(root: Path, delete_id: int | None = None) -> None:
    child = start(root, delete_id)
    child.join(WAIT_S)
    assert child.exitcode == 0
    assert (root / "done").exists()
    child.close()


def rows(root: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(root / "larder.db")
    connection.create_function("larder_words", 1, index_words, deterministic=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.rollback()
        connection.close()


def acknowledged(root: Path) -> set[str]:
    path = root / "acknowledged"
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def check_in_step(root: Path, num_documents: int) -> None:
    """Documents, chunks, words, vectors and KV agree with one another."""
    num_chunks = num_documents * LINES
    assert rows(root, "PRAGMA integrity_check") == [("ok",)]
    assert rows(root, "PRAGMA foreign_key_check") == []
    assert (
        rows(root, "INSERT INTO chunks_fts(chunks_fts, rank) VALUES ('integrity-check', 1)") == []
    )
    for table in ("chunks", "chunks_fts_docsize", "embeddings"):
        assert rows(root, f"SELECT count(*) FROM {table}") == [(num_chunks,)], table
    assert rows(root, "SELECT count(*) FROM chunks WHERE is_cached") == [(num_chunks,)]
    assert rows(root, "SELECT count(*) FROM document_bodies") == [(0,)]
    assert rows(root, "SELECT count(*) FROM pending_purges") == [(0,)]
    distinct = {text for (text,) in rows(root, "SELECT text FROM chunks")}
    assert len(distinct) == num_documents * (LINES - 1) + 1
    kv = FolderStore(root / "kv")
    files = {path.name for path in (root / "kv").iterdir()}
    assert files == {kv.path(tuple(text.encode())).name for text in distinct}


@pytest.mark.slow
def test_ingestion_killed_ten_times_ends_as_if_it_never_had_been(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    promised: set[str] = set()
    for _ in range(NUM_KILLS):
        child = start(tmp_path)
        num_batches = chance.randrange(MOST_BATCHES)
        wait_for(child, lambda n=num_batches: (tmp_path / "batches").stat().st_size >= n)
        time.sleep(chance.uniform(0, 0.02))
        kill(child)
        promised |= acknowledged(tmp_path)
        if (tmp_path / "acknowledged").exists():
            names = {name for (name,) in rows(tmp_path, "SELECT name FROM documents")}
            assert promised <= names
    finish(tmp_path)
    documents = rows(tmp_path, "SELECT name, state, size_bytes, text FROM documents")
    expected = [
        (f"{number}.txt", "ready", len(body_of(number)), body_of(number).decode())
        for number in range(NUM_DOCUMENTS)
    ]
    assert sorted(documents) == sorted(expected)
    check_in_step(tmp_path, NUM_DOCUMENTS)
    embedder = HashEmbedder()
    stored = rows(
        tmp_path,
        "SELECT label || char(10) || text, vector FROM chunks JOIN embeddings ON chunk_id = id",
    )
    for text, vector in stored:
        assert embedder.encode([text]).tobytes() == vector


@pytest.mark.slow
def test_a_delete_killed_at_any_moment_is_whole_after_the_next_start(tmp_path: Path) -> None:
    finish(tmp_path)
    chance = random.Random(7)
    for document_id in range(1, 6):
        child = start(tmp_path, document_id)
        wait_for(child, lambda: (tmp_path / "prepared").exists())
        time.sleep(chance.uniform(0, 0.1))
        kill(child)
        known = rows(tmp_path, f"SELECT id FROM documents WHERE id = {document_id}")
        if known:
            finish(tmp_path, delete_id=document_id)
    finish_pending(tmp_path)
    check_in_step(tmp_path, NUM_DOCUMENTS - 6)


def finish_pending(root: Path) -> None:
    """One more start, which makes up for purges that were cut off, and one more delete."""
    ((document_id,),) = rows(root, "SELECT max(id) FROM documents")
    finish(root, delete_id=document_id)
