"""A store with a shared tier behind the disk: found there, copied here, purged there, or away."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kvstore.codecs import find_codec
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.keys import content_id
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedLimits, SharedTier, blob_name
from kvstore.store import KVStore
from kvstore.types import ChunkKV
from tests.fakes.blobs import FakeBlobs

CONTEXT = (content_id((9,)),)
INT8 = find_codec("int8")
LIMITS = SharedLimits(limit_s=2.0, cool_down_s=0.0, listing_s=0.0)


@pytest.fixture
def blobs() -> FakeBlobs:
    return FakeBlobs()


def open_store(folder: Path, blobs: FakeBlobs, shared_bytes: int = 10**6) -> KVStore:
    disk = DiskTier(folder, 10**6, MemoryIndex())
    shared = SharedTier(blobs, shared_bytes, limits=LIMITS)
    return KVStore(RamTier(10**6), disk, "namespace", "identity", shared)


def put_entry(store: KVStore, ids: tuple[int, ...] = (1, 2, 3)) -> ChunkKV:
    key = store.key_of(ids, CONTEXT)
    shape = (2, 3, len(ids), 8)
    entry = ChunkKV(key, ids, torch.randn(shape), torch.randn(shape))
    store.put(entry)
    return entry


def test_another_store_finds_it_and_keeps_a_copy(tmp_path: Path, blobs: FakeBlobs) -> None:
    entry = put_entry(open_store(tmp_path / "a", blobs))
    other = open_store(tmp_path / "b", blobs)
    assert other.contains(entry.token_ids, CONTEXT)
    found = [other.lookup(entry.token_ids, CONTEXT) for _ in range(2)]
    assert [item.tier for item in found] == ["fake", "ram"]
    assert found[0].entry is not None
    assert torch.equal(found[0].entry.keys, entry.keys)
    blobs.held.clear()
    again = KVStore(
        RamTier(0), DiskTier(tmp_path / "b", 10**6, MemoryIndex()), "namespace", "identity"
    )
    assert again.lookup(entry.token_ids, CONTEXT).tier == "disk"
    stats = other.stats()
    assert [tier.name for tier in stats.tiers] == ["ram", "disk", "fake"]
    assert stats.counters["hits_fake"] == 1


def test_a_purge_reaches_what_only_the_shared_tier_holds(tmp_path: Path, blobs: FakeBlobs) -> None:
    entry = put_entry(open_store(tmp_path / "a", blobs))
    other = open_store(tmp_path / "b", blobs)
    purged = other.purge([entry.token_ids])
    assert (purged.entries, purged.complete) == (1, True)
    assert purged.num_bytes > entry.num_bytes
    assert not blobs.held


def test_a_purge_says_when_the_shared_tier_could_not_be_asked(
    tmp_path: Path, blobs: FakeBlobs
) -> None:
    store = open_store(tmp_path, blobs)
    entry = put_entry(store)
    blobs.fails = True
    purged = store.purge([entry.token_ids])
    assert (purged.entries, purged.complete) == (1, False)
    assert store.lookup(entry.token_ids, CONTEXT).entry is None
    blobs.fails = False
    purged = store.purge([entry.token_ids])
    assert (purged.entries, purged.complete) == (1, True)
    assert not blobs.held


def test_a_server_that_is_away_is_a_miss_and_everything_else_works(
    tmp_path: Path, blobs: FakeBlobs
) -> None:
    blobs.fails = True
    store = open_store(tmp_path, blobs)
    assert store.lookup((5, 6), CONTEXT).entry is None
    entry = put_entry(store)
    store.pin(entry.key, pinned=True)
    assert store.lookup(entry.token_ids, CONTEXT).tier == "disk"
    assert store.stats().counters["not_shared"] == 1
    assert [tier.pinned for tier in store.stats().tiers] == [1, 1, 0]


def test_damage_in_the_shared_tier_is_told_and_removed(tmp_path: Path, blobs: FakeBlobs) -> None:
    entry = put_entry(open_store(tmp_path / "a", blobs))
    (name,) = blobs.held
    blobs.held[name] = blobs.held[name][:-9]
    other = open_store(tmp_path / "b", blobs)
    assert other.lookup(entry.token_ids, CONTEXT).corrupt
    assert not blobs.held
    assert not other.lookup(entry.token_ids, CONTEXT).corrupt


def test_a_full_shared_tier_leaves_the_entry_on_disk(tmp_path: Path, blobs: FakeBlobs) -> None:
    store = open_store(tmp_path, blobs, shared_bytes=10)
    entry = put_entry(store)
    assert not blobs.held
    assert store.lookup(entry.token_ids, CONTEXT).tier == "disk"


def test_a_copy_of_a_servers_entry_is_byte_for_byte(tmp_path: Path, blobs: FakeBlobs) -> None:
    """Rows that a codec rounded are not rounded again, and what every prompt needs stays exact."""

    def open_int8(name: str) -> KVStore:
        rules = DiskRules(codec=INT8)
        disk = DiskTier(tmp_path / name, 10**6, MemoryIndex(), rules)
        shared = SharedTier(blobs, 10**6, INT8, LIMITS)
        return KVStore(RamTier(0), disk, "namespace", "identity", shared)

    writer, reader = open_int8("a"), open_int8("b")
    rounded = put_entry(writer)
    ids = (4, 5, 6)
    fixed = replace(rounded, key=writer.key_of(ids, CONTEXT), token_ids=ids, coded=False)
    writer.put(fixed)
    for entry in (rounded, fixed):
        assert reader.lookup(entry.token_ids, CONTEXT).tier == "fake"
        copy = next((tmp_path / "b").glob(f"??/{entry.key.digest}*"))
        assert copy.read_bytes() == blobs.held[blob_name(entry.key)]
    found = reader.lookup(ids, CONTEXT)
    assert found.tier == "disk"
    assert found.entry is not None
    assert found.entry.is_exact


def test_a_lookup_outlives_an_index_that_refuses(
    tmp_path: Path, blobs: FakeBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = put_entry(open_store(tmp_path / "a", blobs))
    other = open_store(tmp_path / "b", blobs)

    def full(**_: object) -> None:
        raise RuntimeError("the database is full")

    monkeypatch.setattr(other.tiers.disk._index, "record", full)
    assert other.lookup(entry.token_ids, CONTEXT).tier == "fake"


def test_a_server_that_fails_is_told_apart_from_a_miss(tmp_path: Path, blobs: FakeBlobs) -> None:
    limits = SharedLimits(cool_down_s=30.0)
    disk = DiskTier(tmp_path, 10**6, MemoryIndex())
    store = KVStore(
        RamTier(0), disk, "namespace", "identity", SharedTier(blobs, 10**6, limits=limits)
    )
    assert not store.lookup((1, 2), CONTEXT).away
    blobs.fails = True
    assert store.lookup((1, 2), CONTEXT).away


def test_a_long_listing_is_asked_for_page_by_page(tmp_path: Path, blobs: FakeBlobs) -> None:
    """Together the pages take longer than one call may."""
    limits = SharedLimits(limit_s=0.5, listing_s=60.0)
    tier = SharedTier(blobs, 10**6, limits=limits)
    store = KVStore(
        RamTier(0), DiskTier(tmp_path, 10**6, MemoryIndex()), "namespace", "identity", tier
    )
    contents = [(number, 2, 3) for number in range(8)]
    for ids in contents:
        put_entry(store, ids)
    blobs.page_s = 0.1
    purged = store.purge(contents)
    assert (purged.complete, purged.entries) == (True, 8)
    assert blobs.held == {}


def test_a_large_entry_may_take_longer(blobs: FakeBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Future:
        def result(self, seconds: float) -> None:
            waited.append(seconds)

    tier = SharedTier(blobs, 10**9, limits=LIMITS)
    monkeypatch.setattr(tier._pool, "submit", lambda run: Future())
    tier._call(lambda: None)
    tier._call(lambda: None, num_bytes=25 * 10**6)
    assert waited == [2.0, 4.5]
