"""Jobs under faults, with real processes: every acknowledged document is there, exactly once."""

import asyncio
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from app import bootstrap_ingest
from app.bootstrap import Container, open_container
from app.db import sqlite
from app.ingest.worker import WorkerConfig
from app.main import create_app
from app.settings import Settings
from retrieval.config import ParseLimits
from retrieval.parsing.pool import ParserPool
from tests.fakes.app import make_settings
from tests.fakes.job_child import JOB_ID, NUM_DOCUMENTS, load_fakes, run_child, text_of
from tests.support.tables import PostgresTables, SqliteTables, Tables

ROOT = Path(__file__).parents[3]
PARSER = (str(ROOT / "tests" / "fakes" / "parse_child.py"),)
NUM_KILLS = {SqliteTables: 20, PostgresTables: 8}  # a start takes seconds there
STAGES = {"received": 0, "chunked": 1, "indexed": 2, "ready": 3}
WAIT_S = 300

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.job_child"])

# Holds the write lock from the line it prints until its input ends.
LOCK = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
)


def acknowledged(root: Path) -> set[str]:
    path = root / "acknowledged"
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def start(root: Path, tables: Tables):
    (root / "steps").write_bytes(b"")
    arguments = (str(root), tables.url, tables.vector_index)
    child = CONTEXT.Process(target=run_child, args=arguments)
    child.start()
    return child


@pytest.mark.slow
@pytest.mark.timeout(2400)  # 106 s on two quiet cores, 281 s on busy ones
def test_a_job_killed_many_times_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, tables: Tables
) -> None:
    chance, num_kills = random.Random(20261122), NUM_KILLS[type(tables)]
    reached = []
    for turn in range(num_kills):
        child, share = start(tmp_path, tables), (turn + chance.random()) / (num_kills + 1)
        deadline = time.monotonic() + WAIT_S
        # After some progress, as a document that is always in hand when the process ends is blamed.
        while child.is_alive() and not (
            (tmp_path / "steps").stat().st_size and progress(tables) >= share
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        child.kill()
        reached.append(progress(tables))
        child.join()
        assert child.exitcode == -signal.SIGKILL  # it did not fail by itself
        child.close()
        names = [name for (name,) in tables.rows("SELECT name FROM documents")]
        assert len(names) == len(set(names))
        assert acknowledged(tmp_path) <= set(names)
    assert reached[0] < 0.25  # all over the job, to its last steps
    assert 0.75 < reached[-1] < 1
    child = start(tmp_path, tables)
    child.join(WAIT_S)
    assert child.exitcode == 0
    assert (tmp_path / "done").exists()
    check_whole(tables)


def progress(tables: Tables) -> float:
    """How far the job is, 0 to 1."""
    counts = tables.rows("SELECT state, count(*) FROM documents GROUP BY state")
    return sum(STAGES[state] * number for state, number in counts) / (3 * NUM_DOCUMENTS)


def check_whole(tables: Tables) -> None:
    found = tables.rows("SELECT name, text FROM documents WHERE state = 'ready'")
    assert sorted(found) == sorted((f"{n}.md", text_of(n)) for n in range(NUM_DOCUMENTS))
    (counts,) = tables.rows(
        "SELECT state, total, done + skipped, failed FROM jobs WHERE id = 'bulk'"
    )
    assert (counts[0], counts[3]) == ("succeeded", 0)
    assert counts[1] == counts[2] >= NUM_DOCUMENTS
    chunks = tables.rows("SELECT document_id, ordinal, is_cached FROM chunks")
    assert len(chunks) == NUM_DOCUMENTS
    assert {cached for _, _, cached in chunks} == {True}
    assert tables.rows("SELECT count(*) FROM embeddings") == [(len(chunks),)]
    assert tables.rows("SELECT count(*) FROM document_bodies") == [(0,)]
    assert tables.rows("SELECT count(*) FROM job_items WHERE state = 'queued'") == [(0,)]
    tables.check_sound()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "data")


@pytest.fixture
async def container(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    """With a parser that does what the first word of a file says, and a short patience."""
    limits = ParseLimits(seconds=3, memory_bytes=512 * 2**20)
    monkeypatch.setattr(bootstrap_ingest, "build_parsers", lambda _: ParserPool(limits, PARSER))
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


UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")  # its mounts are seen by it alone


def may_mount() -> bool:
    return (
        shutil.which(UNSHARE[0]) is not None
        and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not may_mount(), reason="this system lets nobody mount a file system")
def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path) -> None:
    """Neither the database nor its log can grow for a while."""
    child = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.fakes.full_disk_child", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert len(found["taken"]) > 5
    assert found["was_open"] == 1
    assert len(found["names"]) == len(set(found["names"]))
    assert set(found["taken"]) == set(found["names"]) == set(found["ready"])
    assert found["job"] == ["succeeded", 0, 0]


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
