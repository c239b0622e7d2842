"""kill -9 in the middle of an estimate: it goes on where it was, and nothing counts twice."""

import multiprocessing
import random
import sqlite3
import time
from pathlib import Path

from tests.fakes.estimate_child import NUM_PROBES, SOURCES, run_child

NUM_KILLS = 4
WAIT_S = 300

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.estimate_child"])


def start(root: Path):
    child = CONTEXT.Process(target=run_child, args=(str(root),))
    child.start()
    return child


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def rows(root: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(root / "larder.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_no_probe_counts_twice_and_none_is_lost(tmp_path: Path) -> None:
    draw, asked = random.Random(7), tmp_path / "asked"
    for _ in range(NUM_KILLS):
        child = start(tmp_path)
        wanted = size(asked) + draw.randint(2, 20)
        deadline = time.monotonic() + WAIT_S
        while child.is_alive() and size(asked) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        child.kill()
        child.join()
        child.close()
        counted = rows(
            tmp_path, "SELECT question, source_id, count(*) FROM observations GROUP BY 1, 2"
        )
        assert all(count == 1 for _, _, count in counted)
        assert len(counted) % len(SOURCES) == 0  # all of a probe, or nothing
    child = start(tmp_path)
    child.join(WAIT_S)
    assert child.exitcode == 0
    assert (tmp_path / "done").exists()
    child.close()
    every = NUM_PROBES * len(SOURCES)
    assert rows(tmp_path, "SELECT count(*) FROM observations") == [(every,)]
    assert rows(tmp_path, "SELECT DISTINCT state FROM probes") == [("done",)]
    assert rows(tmp_path, "SELECT state FROM estimates") == [("done",)]
    # Only what was in hand at a kill was asked again.
    assert every <= size(asked) <= every + NUM_KILLS * len(SOURCES)
