"""`larder cache warm` in a process that is killed: the next one goes on with the same job."""

import json
import multiprocessing
import random
import sqlite3
import time
from pathlib import Path

import pytest

from app.bootstrap import open_container
from app.db.rows import CacheScope
from tests.fakes.app import make_settings
from tests.fakes.cache_child import load_slow, run_child

NUM_DOCUMENTS, NUM_KILLS, WAIT_S = 48, 3, 120

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.cache_child"])


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_killed_warm_job_goes_on_where_it_was(tmp_path: Path) -> None:
    steps, chance = tmp_path / "steps", random.Random(7)
    settings = make_settings(tmp_path / "data")
    async with open_container(settings, lambda _: None, load=load_slow) as app:
        collection = await app.collections.create("c")
        for number in range(NUM_DOCUMENTS):
            text = f"Entry {number} names house {number * number}."
            await app.ingest.accept(collection.id, "s", f"{number}.txt", text.encode(), None)
        app.worker.submit()
        await app.worker.wait_idle()
        await app.cache.start("purge", CacheScope("tenant"))
        app.worker.submit()
        await app.worker.wait_idle()
    for _ in range(NUM_KILLS):
        steps.write_bytes(b"")
        child = CONTEXT.Process(target=run_child, args=(str(tmp_path),))
        child.start()
        deadline = time.monotonic() + WAIT_S
        while steps.stat().st_size < 1:
            assert child.is_alive(), "it was to be killed, not to end"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.04))
        child.kill()
        child.join()
    last = CONTEXT.Process(target=run_child, args=(str(tmp_path),))
    last.start()
    last.join(WAIT_S)
    assert (tmp_path / "done").exists()
    connection = sqlite3.connect(tmp_path / "data" / "larder.db")
    (row,) = connection.execute(
        "SELECT state, total, done, result_json FROM jobs"
        " WHERE payload_json LIKE '%warm%' AND kind = 'cache'"
    ).fetchall()
    (cached,) = connection.execute("SELECT sum(is_cached) FROM chunks").fetchone()
    connection.close()
    state, total, done, result = row
    counts = json.loads(result)
    assert (state, total, done, cached) == ("succeeded", NUM_DOCUMENTS, NUM_DOCUMENTS, total)
    assert counts["stored"] + counts["already"] == total
    assert counts["already"] <= 8 * NUM_KILLS, "at most the batch in hand is looked at twice"
    assert set(counts) == {"stored", "already", "tokens", "left", "reason"}
    files = list((tmp_path / "data" / "kv").glob("*/*.safetensors"))
    assert len(files) == 2 * total
