"""kill -9, two processes, damage: nothing torn or foreign is served, nothing committed is lost."""

import multiprocessing
import random
import time
from pathlib import Path

import anyio
import pytest
import torch

from app.db.session import Database
from kvstore.errors import CorruptEntry
from tests.fakes.store_child import LOG_LINE, entry_of, open_disk, share, write_on

NUM_KILLS = 20
LATEST_S = 0.12  # an entry takes a few milliseconds
WAIT_S = 300

# Forked from a process that has imported everything, a child starts in a few milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.store_child"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    async def make_tables() -> None:
        await (await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}")).close()

    anyio.run(make_tables)
    return tmp_path


def kill_while_writing(root: Path, first_seed: int, delay_s: float) -> None:
    (root / "ready").unlink(missing_ok=True)
    child = CONTEXT.Process(target=write_on, args=(str(root), first_seed))
    child.start()
    deadline = time.monotonic() + WAIT_S
    while not (root / "ready").exists():
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(delay_s)
    assert child.is_alive()
    child.kill()
    child.join()
    child.close()


def committed_seeds(root: Path) -> list[int]:
    data = (root / "committed").read_bytes()
    return [int(data[at : at + LOG_LINE]) for at in range(0, len(data), LOG_LINE)]


def test_killed_at_twenty_random_points(root: Path) -> None:
    draw = random.Random(7)
    cut_off = 0
    for turn in range(NUM_KILLS):
        first = 10_000 * (turn + 1)
        kill_while_writing(root, first, draw.uniform(0, LATEST_S))
        cut_off += len(list((root / "kv").glob("??/*.tmp")))
        disk, index = open_disk(root)
        for seed in committed_seeds(root):
            entry = entry_of(seed)
            if seed >= first:  # each once, bit for bit
                found = disk.get(entry.key)
                assert found is not None, f"{seed} is lost"
                assert torch.equal(found.keys, entry.keys)
                assert torch.equal(found.values, entry.values)
            assert disk.contains(entry.key)
        assert disk.get(entry_of(first, "another's").key) is None
        files = {path.name.split(".")[0] for path in (root / "kv").glob("??/*.safetensors")}
        assert files == {row.digest for row in index.rows()}
        assert disk.stats().bytes == sum(
            path.stat().st_size for path in (root / "kv").glob("??/*.safetensors")
        )
        assert not list((root / "kv").glob("??/*.tmp"))
        assert not list((root / "kv" / "quarantine").iterdir())
        index.close()
    assert cut_off >= 1  # else no kill met a write


def test_two_processes_on_one_store(root: Path) -> None:
    """Both put, read, remove and evict the same seven entries; the budget holds four."""
    budget = 4 * 240_000
    children = [
        CONTEXT.Process(target=share, args=(str(root), budget, 120, step)) for step in (1, 3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(WAIT_S)
    assert [child.exitcode for child in children] == [0, 0]
    disk, index = open_disk(root, budget)
    assert disk.stats().bytes <= budget
    for seed in range(1000, 1007):
        entry = entry_of(seed)
        found = disk.get(entry.key)
        assert found is None or torch.equal(found.keys, entry.keys)
    assert not list((root / "kv").glob("??/*.tmp"))
    index.close()


def test_a_purge_removes_what_another_process_wrote(root: Path) -> None:
    mine, index = open_disk(root)
    other, other_index = open_disk(root)
    entry = entry_of(1)
    other.put(entry)
    assert not mine.contains(entry.key)
    assert mine.remove(mine.digests_of(entry.key.namespace, [entry.key.content])) > 0
    assert not list((root / "kv").glob("??/*.safetensors"))
    assert other.get(entry.key) is None
    for opened in (index, other_index):
        opened.close()


@pytest.mark.parametrize("place", ["header", "body"])
def test_bits_flipped_and_files_cut_at_random(root: Path, place: str) -> None:
    draw = random.Random(3)
    disk, index = open_disk(root)
    entry = entry_of(1)
    for turn in range(24):
        disk.put(entry)
        (path,) = (root / "kv").glob("??/*.safetensors")
        data = bytearray(path.read_bytes())
        header = 8 + int.from_bytes(data[:8], "little")
        at = draw.randrange(header) if place == "header" else draw.randrange(header, len(data))
        if turn % 2:
            data[at] ^= 1 << draw.randrange(8)
        else:
            del data[at:]
        path.write_bytes(data)
        try:
            found = disk.get(entry.key)
        except CorruptEntry:
            assert not disk.contains(entry.key)
            assert disk.get(entry.key) is None
            continue
        assert found is not None  # a blank in the header's JSON: nothing it says has changed
        assert torch.equal(found.keys, entry.keys)
        disk.remove([entry.key.digest])
    assert len(list((root / "kv" / "quarantine").iterdir())) == 1
    index.close()
