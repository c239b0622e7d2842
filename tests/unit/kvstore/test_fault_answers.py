"""Whatever happens to the store, the answer is the one of a full prefill, and says why."""

import errno
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import kvstore.disk_tier
from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.keys import content_id
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.shared_tier import SharedLimits, SharedTier
from kvstore.store import KVStore
from kvstore.types import PrefillReport, ReuseOptions, Segment
from tests.fakes.blobs import FakeBlobs
from tests.support.tiny_models import FRAME, build_runner, draw_ids, ids_of, prompt_of

CHUNKS = [draw_ids(40, seed) for seed in range(20, 24)]
PROMPT = prompt_of(CHUNKS)
OFF = ReuseOptions(mode="off")
EXACT = ReuseOptions(mode="exact")
AUTO = ReuseOptions()
ALL = ReuseOptions(policy="all", ratio=1.0)
SEGMENTS = [Segment("chunk", ids) for ids in CHUNKS]


@pytest.fixture(scope="module")
def llama() -> ModelRunner:
    return build_runner("llama")


@dataclass(frozen=True, slots=True)
class Served:
    engine: ReuseEngine
    folder: Path
    index: MemoryIndex


Open = Callable[..., Served]


@pytest.fixture
def open_engine(llama: ModelRunner, tmp_path: Path) -> Open:
    """An engine on a folder; RAM keeps nothing, so every answer reads the disk."""

    def open_one(
        folder: Path | None = None,
        index: MemoryIndex | None = None,
        shared: SharedTier | None = None,
        *,
        warm: bool = True,
    ) -> Served:
        folder, index = folder or tmp_path / "kv", index or MemoryIndex()
        disk = DiskTier(folder, 10**8, index)
        store = KVStore(RamTier(0), disk, "namespace", "identity", shared)
        engine = ReuseEngine(llama, store, FRAME, ReuseConfig(min_reusable_tokens=1))
        engine.refusal = None
        if warm:
            engine.prepare()
            for _ in engine.precompute(SEGMENTS):
                pass
        return Served(engine, folder, index)

    return open_one


def answer(served: Served, options: ReuseOptions) -> tuple[torch.Tensor, PrefillReport]:
    capacity = len(ids_of(PROMPT)) + 4
    done = served.engine.prefill(PROMPT, options, capacity=capacity)
    return done.logits, done.report


def check_answers(served: Served) -> PrefillReport:
    """Modes that promise the full prefill's answer give it; the report of `auto`."""
    truth, _ = answer(served, OFF)
    for options in (EXACT, ALL):
        logits, _ = answer(served, options)
        assert torch.allclose(logits, truth, atol=1e-4)
    logits, report = answer(served, AUTO)
    assert logits.isfinite().all()
    if not report.tokens.reused:
        assert torch.allclose(logits, truth, atol=1e-4)
    return report


def entry_files(served: Served) -> list[Path]:
    return sorted(served.folder.glob("??/*.safetensors"))


@pytest.mark.parametrize("damage", ["cut", "header", "body", "empty"])
def test_damaged_files(open_engine: Open, damage: str) -> None:
    served = open_engine()
    draw = random.Random(damage)
    for path in entry_files(served):
        data = bytearray(path.read_bytes())
        header = 8 + int.from_bytes(data[:8], "little")
        if damage == "cut":
            del data[draw.randrange(len(data)) :]
        elif damage == "empty":
            data.clear()
        else:
            at = (
                draw.randrange(8, header // 2)
                if damage == "header"
                else draw.randrange(header, len(data))
            )
            data[at] ^= 0x55
        path.write_bytes(data)
    truth, _ = answer(served, OFF)
    logits, report = answer(served, AUTO)
    assert torch.allclose(logits, truth, atol=1e-4)
    assert report.tokens.fresh == report.tokens.prompt
    assert reasons.CORRUPT in {segment.reason for segment in report.segments}
    assert served.engine.repair(PROMPT, report) >= 1
    check_answers(served)


@pytest.mark.parametrize("place", range(1, len(CHUNKS)))
def test_one_damaged_file_among_those_that_are_read_at_once(open_engine: Open, place: int) -> None:
    """Its chunk is computed, the others are reused; nothing of it is in the answer."""
    served = open_engine()
    chunk = SEGMENTS[place]
    rows = served.engine.store.tiers.disk.entries()
    digests = {row.digest for row in rows if row.content == content_id(chunk.token_ids)}
    for path in entry_files(served):
        if path.stem in digests:
            data = bytearray(path.read_bytes())
            data[-5] ^= 0x10
            path.write_bytes(data)
    logits, report = answer(served, AUTO)
    reused = [s.action for s in report.segments[2:-1]]
    assert reused.count("reused") == len(CHUNKS) - 2
    assert report.segments[place + 1].reason == reasons.CORRUPT
    served.engine.store.purge([chunk.token_ids])
    without, again = answer(served, AUTO)
    assert again.segments[place + 1].reason == reasons.NOT_STORED
    assert torch.equal(logits, without)
    check_answers(served)


def test_a_clock_that_is_put_back(open_engine: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    served = open_engine()
    before = answer(served, AUTO)[1]
    now = time.time()
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: now - 10 * 365 * 86_400)
    again = open_engine(served.folder, served.index, warm=False)
    assert check_answers(again).tokens == before.tokens


def test_a_shared_tier_that_hangs(open_engine: Open) -> None:
    blobs = FakeBlobs()
    limits = SharedLimits(limit_s=0.3, cool_down_s=60.0, listing_s=0.0)
    writer = open_engine(shared=SharedTier(blobs, 10**8, limits=limits))
    other = SharedTier(blobs, 10**8, limits=limits)
    served = open_engine(writer.folder.with_name("empty"), None, other, warm=False)
    blobs.hangs.set()
    started = time.monotonic()
    report = check_answers(served)
    assert time.monotonic() - started < 30
    assert {segment.reason for segment in report.segments[1:-1]} == {reasons.NOT_STORED}
    blobs.released.set()
    other.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB of its own, where that is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=True)


def test_a_disk_that_is_really_full(open_engine: Open, small_disk: Path) -> None:
    served = open_engine(small_disk / "kv", warm=False)
    (small_disk / "ballast").write_bytes(bytes(180_000))
    served.engine.prepare()
    told = [report.reason for report in served.engine.precompute(SEGMENTS)]
    assert told[-1] == "disk_unavailable"
    report = check_answers(served)
    assert reasons.NOT_STORED in {segment.reason for segment in report.segments}
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "ballast").unlink()
    assert [report.reason for report in served.engine.precompute(SEGMENTS)][-1] is None
    assert check_answers(served).tokens.reused > 0


def test_a_file_system_that_became_read_only(open_engine: Open, small_disk: Path) -> None:
    served = open_engine(small_disk / "kv", warm=False)
    served.engine.prepare()
    for _ in served.engine.precompute(SEGMENTS[:2]):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    check_read_only(served, open_engine)


REFUSED = OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_folder_that_refuses_changes(open_engine: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where nothing can be mounted: every call that would change the folder is refused."""

    def refuse(*_: object, **__: object) -> None:
        raise REFUSED

    served = open_engine(warm=False)
    served.engine.prepare()
    for _ in served.engine.precompute(SEGMENTS[:2]):
        pass
    for name in ("write_bytes", "unlink", "replace", "mkdir"):
        monkeypatch.setattr(Path, name, refuse)
    check_read_only(served, open_engine)


def check_read_only(served: Served, open_engine: Open) -> None:
    """What is there serves, what is not is computed; a purge says that it could not."""
    assert [r.reason for r in served.engine.precompute(SEGMENTS)][-1] == "disk_unavailable"
    told = [segment.reason for segment in check_answers(served).segments[1:-1]]
    assert told == [
        reasons.FIRST_CHUNK,
        reasons.REUSED_PRIMED,
        reasons.NOT_STORED,
        reasons.NOT_STORED,
    ]
    purged = served.engine.store.purge([CHUNKS[0]])
    assert not purged.complete
    again = open_engine(served.folder, served.index, warm=False)
    assert check_answers(again).segments[2].reason == reasons.REUSED_PRIMED
