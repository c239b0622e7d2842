"""Jobs under faults, with real processes: every acknowledged document is there, exactly once."""

import asyncio
import multiprocessing
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from app import bootstrap
from app.bootstrap import Container, open_container
from app.db import sqlite
from app.ingest.worker import WorkerConfig
from app.main import create_app
from app.settings import Settings
from retrieval.config import ParseLimits
from retrieval.parsing.pool import ParserPool
from tests.fakes.app import make_settings
from tests.fakes.job_child import JOB_ID, NUM_DOCUMENTS, load_fakes, run_child, text_of

ROOT = Path(__file__).parents[3]
PARSER = (str(ROOT / "tests" / "fakes" / "parse_child.py"),)
NUM_KILLS = 20
MOST_STEPS = 6  # of some 220, which leaves most of the work to the last process
WAIT_S = 300

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.job_child"])

# Holds the write lock from the line it prints until its input ends.
LOCK = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
)


def rows(root: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(root / "data" / "larder.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.rollback()
        connection.close()


def acknowledged(root: Path) -> set[str]:
    path = root / "acknowledged"
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def start(root: Path):
    (root / "steps").write_bytes(b"")
    child = CONTEXT.Process(target=run_child, args=(str(root),))
    child.start()
    return child


@pytest.mark.slow
@pytest.mark.timeout(2400)  # 106 s on two quiet cores, 281 s on busy ones
def test_a_job_killed_twenty_times_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    for _ in range(NUM_KILLS):
        child, num_steps = start(tmp_path), chance.randint(1, MOST_STEPS)
        deadline = time.monotonic() + WAIT_S
        # After some progress, as a document that is always in hand when the process ends is blamed.
        while child.is_alive() and (tmp_path / "steps").stat().st_size < num_steps:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        child.kill()
        child.join()
        child.close()
        names = [name for (name,) in rows(tmp_path, "SELECT name FROM documents")]
        assert len(names) == len(set(names))
        assert acknowledged(tmp_path) <= set(names)
    child = start(tmp_path)
    child.join(WAIT_S)
    assert child.exitcode == 0
    assert (tmp_path / "done").exists()
    check_whole(tmp_path)


def check_whole(root: Path) -> None:
    found = dict(rows(root, "SELECT name, text FROM documents WHERE state = 'ready'"))
    assert found == {f"{number}.md": text_of(number) for number in range(NUM_DOCUMENTS)}
    (counts,) = rows(
        root, "SELECT state, total, done + skipped, failed FROM jobs WHERE id = 'bulk'"
    )
    assert (counts[0], counts[3]) == ("succeeded", 0)
    assert counts[1] == counts[2] >= NUM_DOCUMENTS
    chunks = rows(root, "SELECT document_id, ordinal, is_cached FROM chunks")
    assert len(chunks) == NUM_DOCUMENTS
    assert {cached for _, _, cached in chunks} == {1}
    for table in ("embeddings", "chunks_fts_docsize"):
        assert rows(root, f"SELECT count(*) FROM {table}") == [(len(chunks),)]
    assert rows(root, "SELECT count(*) FROM document_bodies") == [(0,)]
    assert rows(root, "SELECT count(*) FROM job_items WHERE state = 'queued'") == [(0,)]
    assert rows(root, "PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "data")


@pytest.fixture
async def container(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    """With a parser that does what the first word of a file says, and a short patience."""
    limits = ParseLimits(seconds=3, memory_bytes=512 * 2**20)
    monkeypatch.setattr(bootstrap, "_build_parsers", lambda _: ParserPool(limits, PARSER))
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    async with open_container(settings, lambda _: None, load=load_fakes) as opened:
        monkeypatch.setattr(opened.worker, "_config", WorkerConfig(retry_s=0.05))
        yield opened


@pytest.mark.anyio
async def test_files_that_hang_eat_and_crash_fail_alone(container: Container) -> None:
    collection = await container.collections.create("c")
    bodies = [
        "good one",
        "hang",
        "good two",
        "eat-at-once",
        "good three",
        "crash",
        "exit",
        "good four",
    ]
    for number, body in enumerate(bodies):
        name = f"{number}.txt"
        await container.ingest.accept(collection.id, "s", name, body.encode(), None, JOB_ID)
    container.worker.submit()
    await asyncio.wait_for(container.worker.wait_idle(), WAIT_S)
    job = await container.jobs.get(JOB_ID)
    assert (job.state, job.total, job.done, job.failed) == ("partial", 8, 4, 4)
    items, _ = await container.jobs.items(JOB_ID, 9, state="failed")
    reasons = {item.key: item.error for item in items}
    assert reasons.keys() == {"1.txt", "3.txt", "5.txt", "6.txt"}
    assert "longer than 3 seconds" in reasons["1.txt"]
    assert "MiB of memory" in reasons["3.txt"]
    assert all("stopped the program" in reasons[name] for name in ("5.txt", "6.txt"))
    documents, _ = await container.documents.list(collection.id, 9)
    assert sorted(row.name for row in documents if row.state == "ready") == [
        f"{number}.txt" for number in (0, 2, 4, 7)
    ]


@pytest.mark.anyio
async def test_a_database_that_another_program_holds(
    container: Container, settings: Settings
) -> None:
    transport = httpx2.ASGITransport(create_app(container), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        collection = (await client.post("/api/v1/collections", json={"name": "c"})).json()
        path = f"/api/v1/collections/{collection['id']}/documents"
        database = str(settings.data_dir / "larder.db")
        command = [sys.executable, "-c", LOCK, database]
        with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            refused = await client.post(path, files={"file": ("a.md", b"late")})
            assert (refused.status_code, refused.json()["code"]) == (503, "storage_busy")
            container.worker.submit()
            await asyncio.sleep(0.3)  # the worker meets it too, and waits
            assert holder.stdin is not None
            holder.stdin.close()
            assert holder.wait(60) == 0
        reply = await client.post(path, files={"file": ("a.md", b"late")})
        assert reply.status_code == 202
        await asyncio.wait_for(container.worker.wait_idle(), WAIT_S)
        (document,) = (await client.get(path)).json()["items"]
        assert document["state"] == "ready"
        job = await container.jobs.get(reply.json()["job_id"])
        assert (job.state, job.attempts) == ("succeeded", 0)
