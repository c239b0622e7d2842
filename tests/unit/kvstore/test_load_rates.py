"""Load or recompute, by what the tiers were seen to deliver; TTL and pins over all tiers."""

import threading
import time
from pathlib import Path

import pytest
import torch

import kvstore.disk_tier
import kvstore.load_rates
import kvstore.ram_tier
from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.device_tier import DeviceTier, open_device_tier
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.encodings import find_encoding
from kvstore.keys import content_id
from kvstore.load_rates import LoadRates
from kvstore.memory_index import MemoryIndex
from kvstore.planner import Planner
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedLimits, SharedTier
from kvstore.store import KVStore
from kvstore.types import ChunkKV
from kvstore.variants import VariantCatalog
from tests.fakes.blobs import FakeBlobs
from tests.support.tiny_models import FRAME, draw_ids, prompt_of

CONTEXT = (content_id((9,)),)
DAY = 86_400.0
LIMITS = SharedLimits(limit_s=5.0, cool_down_s=0.0, listing_s=0.0)


class SlowBlobs(FakeBlobs):
    pause = 0.0

    def read(self, name: str) -> bytes | None:
        time.sleep(self.pause)
        return super().read(name)


def entry_of(store: KVStore, ids: tuple[int, ...], context: tuple[str, ...] = CONTEXT) -> ChunkKV:
    rows = torch.randn(2, 3, len(ids), 8)
    return ChunkKV(store.key_of(ids, context), ids, rows, -rows)


def test_a_tier_is_judged_after_a_few_loads_and_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(kvstore.load_rates.time, "monotonic", lambda: now)
    rates = LoadRates(lambda tokens: 0.001 * tokens)
    for _ in range(2):
        rates.loaded("s3", 1000, 10, 1.0)
        assert not rates.is_slower("s3", 10)
    rates.loaded("s3", 1000, 10, 1.0)
    assert [rates.is_slower("s3", 10) for _ in range(3)] == [False, True, True]
    assert not rates.is_slower("disk", 10)
    now += 61
    assert [rates.is_slower("s3", 10) for _ in range(2)] == [False, True]
    for _ in range(30):
        rates.loaded("s3", 1000, 10, 0.001)
    assert not rates.is_slower("s3", 10)
    assert rates.bytes_a_second()["s3"] == pytest.approx(1e6, rel=0.01)
    assert rates.saved(10, 0.004) == pytest.approx(0.006)
    assert rates.saved(10, 1.0) == 0.0
    assert not LoadRates(lambda _: 0.0).is_slower("s3", 10)


def test_a_slow_shared_tier_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    blobs = SlowBlobs()
    rates = LoadRates(lambda tokens: 0.0002 * tokens)
    prompt = prompt_of([draw_ids(30, seed) for seed in range(5, 11)])

    def open_store(folder: str) -> KVStore:
        disk = DiskTier(tmp_path / folder, 10**6, MemoryIndex())
        shared = SharedTier(blobs, 10**7, limits=LIMITS)
        return KVStore(RamTier(0), disk, "namespace", "identity", shared, rates=rates)

    writer = open_store("a")
    writer.put(entry_of(writer, FRAME.prefix, ()))
    for segment in prompt[1:-1]:
        for encoding in ("head", "primed"):
            context = find_encoding(encoding).key_context(FRAME, segment)
            writer.put(entry_of(writer, segment.token_ids, context))
    blobs.pause = 0.02  # 30 tokens are computed in 6 ms
    store = open_store("b")
    plan = Planner(FRAME, ReuseConfig(loaders=1), VariantCatalog(lambda *_: None)).plan(
        prompt, store.lookup, exact_only=None
    )
    told = [segment.reason for segment in plan.segments]
    assert told[:2] == [reasons.EXACT_PREFIX, reasons.FIRST_CHUNK]
    assert told[2] == reasons.REUSED_PRIMED
    assert told[4:-1] == [reasons.SLOWER_THAN_COMPUTE] * 3
    counters = store.stats().counters
    assert counters["slower_than_compute"] >= 3
    blobs.pause = 0.0
    assert (
        writer.lookup(
            prompt[-2].token_ids, find_encoding("head").key_context(FRAME, prompt[-2])
        ).tier
        == "disk"
    )
    assert writer.stats().load_bytes_per_s["disk"] > 0


def test_hits_say_what_they_saved(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    store = KVStore(RamTier(10**6), disk, "n", "i", rates=LoadRates(lambda tokens: 1.0 * tokens))
    store.put(entry_of(store, (1, 2, 3)))
    found = [store.lookup((1, 2, 3), CONTEXT) for _ in range(2)]
    assert 2.0 < found[0].saved_seconds < 3.0
    assert found[1].saved_seconds == 3.0
    assert store.stats().counters["saved_ms"] == 0  # what is computed anew is not known yet
    store.note_saved(70.4)
    store.note_saved(-100.0)  # it did not pay
    assert store.stats().counters["saved_ms"] == -30


def test_the_device_tier_stands_in_front(tmp_path: Path) -> None:
    """On a machine without a GPU its tensors are on the CPU too: everything else is the same."""
    device = DeviceTier(10**6, torch.device("cpu"))
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    store = KVStore(RamTier(10**6), disk, "n", "i", device=device)
    entry = entry_of(store, (1, 2, 3))
    store.put(entry)
    assert [store.lookup((1, 2, 3), CONTEXT).tier for _ in range(3)] == ["disk", *["device"] * 2]
    device.remove([entry.key.digest])
    assert store.contains((1, 2, 3), CONTEXT)
    assert [store.lookup((1, 2, 3), CONTEXT).tier for _ in range(2)] == ["ram", "device"]
    assert [tier.name for tier in store.stats().tiers] == ["device", "ram", "disk"]
    assert store.stats().counters["hits_device"] == 3
    purged = store.purge([(1, 2, 3)])
    assert [(tier.tier, tier.entries) for tier in purged.tiers] == [
        ("device", 1),
        ("ram", 1),
        ("disk", 1),
    ]
    assert store.lookup((1, 2, 3), CONTEXT).entry is None
    assert open_device_tier(10**6, torch.device("cpu")) is None
    assert open_device_tier(0, torch.device("cuda")) is None
    assert isinstance(open_device_tier(1, torch.device("meta")), DeviceTier)


def test_a_purge_reaches_what_only_memory_still_holds(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    store = KVStore(RamTier(10**6), disk, "n", "i")
    for ids in ((1, 2, 3), (4, 5)):
        store.put(entry_of(store, ids))
        store.lookup(ids, CONTEXT)
    disk.shrink(0)
    assert store.lookup((1, 2, 3), CONTEXT).tier == "ram"
    assert store.purge([(1, 2, 3)]).entries == 1
    assert store.lookup((1, 2, 3), CONTEXT).entry is None
    assert store.purge_namespace().entries == 1
    assert store.lookup((4, 5), CONTEXT).entry is None


def test_the_time_to_live_holds_in_every_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory serves counts as used on disk; what nobody used goes from all of them."""
    blobs, rules = FakeBlobs(), DiskRules(ttl_s=7 * DAY)
    shared = SharedTier(blobs, 10**7, limits=SharedLimits(listing_s=0.0, ttl_s=7 * DAY))
    ram = RamTier(10**6, 7 * DAY)
    device = DeviceTier(10**6, torch.device("cpu"), 7 * DAY)
    disk = DiskTier(tmp_path, 10**6, MemoryIndex(), rules)
    store = KVStore(ram, disk, "n", "i", shared, device=device)
    wall, steady = time.time(), time.monotonic()
    passed = 0.0
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: wall + passed)
    monkeypatch.setattr(kvstore.ram_tier.time, "monotonic", lambda: steady + passed)
    used, unused, pinned = (entry_of(store, ids) for ids in ((1, 2), (3, 4), (5, 6)))
    for entry in (used, unused, pinned):
        store.put(entry)
        store.lookup(entry.token_ids, CONTEXT)
    store.pin(pinned.key, pinned=True)
    for name in blobs.held:
        shared._touched[name] = wall
    passed = 5 * DAY
    assert store.lookup(used.token_ids, CONTEXT).tier == "device"
    passed = 8 * DAY
    store.put(entry_of(store, (7, 8)))
    there = [tier.contains(unused.key) for tier in (device, ram, disk, shared)]
    assert there == [False] * 4
    assert all(tier.contains(pinned.key) for tier in (device, ram, disk, shared))
    assert [tier.contains(used.key) for tier in (device, disk)] == [True, True]
    assert (disk.expired, ram.expired) == (1, 2)  # RAM lets go of what the device served
    assert shared.expired >= 1
    shared.close()


def test_a_pin_is_known_in_memory_after_a_restart(tmp_path: Path) -> None:
    index = MemoryIndex()
    store = KVStore(RamTier(10**6), DiskTier(tmp_path, 10**6, index), "n", "i")
    entry = entry_of(store, (1, 2))
    store.put(entry)
    store.pin(entry.key, pinned=True)
    again = KVStore(RamTier(entry.num_bytes), DiskTier(tmp_path, 10**6, index), "n", "i")
    again.lookup((1, 2), CONTEXT)
    assert [tier.pinned for tier in again.stats().tiers] == [1, 1]
    again.put(entry_of(again, (3, 4)))
    again.lookup((3, 4), CONTEXT)
    assert again.lookup((1, 2), CONTEXT).tier == "ram"


def test_a_pin_is_put_back_when_a_damaged_entry_is_computed_again(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    store = KVStore(RamTier(0), disk, "n", "i")
    entry = entry_of(store, (1, 2))
    store.put(entry)
    store.pin(entry.key, pinned=True)
    (path,) = tmp_path.glob("??/*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert store.lookup((1, 2), CONTEXT).corrupt
    store.put(entry)
    assert disk.is_pinned(entry.key.digest)


def test_a_hanging_tier_costs_one_limit_and_the_answer_goes_on(tmp_path: Path) -> None:
    blobs = FakeBlobs()
    limits = SharedLimits(limit_s=0.3, cool_down_s=60.0, listing_s=0.0)
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    shared = SharedTier(blobs, 10**7, limits=limits)
    store = KVStore(RamTier(0), disk, "n", "i", shared, rates=LoadRates(lambda n: 1.0 * n))
    store.put(entry_of(store, (1, 2)))
    disk.shrink(0)
    blobs.hangs.set()
    started = time.monotonic()
    answers = [store.lookup((1, 2), CONTEXT) for _ in range(50)]
    assert all(found.entry is None and not found.corrupt for found in answers)
    assert time.monotonic() - started < 3.0
    purged = store.purge([(1, 2)])
    assert not purged.complete
    assert purged.tiers[-1].failed is not None
    threading.Timer(0.0, blobs.released.set).start()
    shared.close()
