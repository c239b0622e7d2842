"""Files and tiers: real sizes in budgets, damage as a miss, nothing lost by a restart."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import kvstore.entry_file
from kvstore.disk_tier import DiskTier
from kvstore.entry_file import from_bytes, to_bytes, write_file
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.memory_index import MemoryIndex
from kvstore.null_tier import NullTier
from kvstore.ram_tier import RamTier
from kvstore.store import KVStore
from kvstore.types import ChunkKV, EntryKey
from tests.support.entries import CONTEXT, file_of, make_entry, make_store


def write_entry(path: Path, entry: ChunkKV) -> None:
    write_file(path, to_bytes(entry))


def read_entry(path: Path, key: EntryKey) -> ChunkKV:
    return from_bytes(path.read_bytes(), key)


def test_what_was_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        entry = make_entry(1)
        entry = ChunkKV(entry.key, entry.token_ids, entry.keys.to(dtype), entry.values.to(dtype))
        write_entry(tmp_path / "e.safetensors", entry)
        found = read_entry(tmp_path / "e.safetensors", entry.key)
        assert found.token_ids == entry.token_ids
        assert torch.equal(found.keys, entry.keys)
        assert torch.equal(found.values, entry.values)


def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    entry = make_entry(1, tokens=3)
    write_entry(path, entry)
    whole = path.read_bytes()
    for position in range(0, len(whole), 11):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            found = read_entry(path, entry.key)
        except CorruptEntry:
            continue
        assert torch.equal(found.keys, entry.keys), position  # padding inside the JSON header
        assert torch.equal(found.values, entry.values), position
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptEntry):
            read_entry(path, entry.key)


def test_a_file_under_a_foreign_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    write_entry(path, make_entry(1))
    with pytest.raises(CorruptEntry, match="another key"):
        read_entry(path, make_entry(1, identity="other").key)


def test_damage_is_a_miss_and_a_quarantine(tmp_path: Path, disk: DiskTier) -> None:
    store, entry = make_store(disk), make_entry(1)
    store.put(entry)
    path = file_of(tmp_path, entry)
    data = bytearray(path.read_bytes())
    data[-5] ^= 0xFF
    path.write_bytes(data)
    found = store.lookup(entry.token_ids, CONTEXT)
    assert found.entry is None
    assert found.corrupt
    assert not path.exists()
    assert (tmp_path / "quarantine" / path.name).exists()
    assert store.lookup(entry.token_ids, CONTEXT) == store.lookup((5, 6), CONTEXT)
    assert store.stats().counters["corrupt"] == 1
    store.put(entry)
    assert store.lookup(entry.token_ids, CONTEXT).entry is not None


def test_a_full_index_does_not_stop_a_lookup(
    tmp_path: Path, disk: DiskTier, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    entry = make_entry(1)
    disk.put(entry)
    file_of(tmp_path, entry).unlink()
    monkeypatch.setattr(index, "forget", full)
    assert disk.get(entry.key) is None
    assert disk.stats().bytes == 0


def test_quarantine_does_not_grow_without_bound(tmp_path: Path, disk: DiskTier) -> None:
    for seed in range(12):
        entry = make_entry(seed)
        disk.put(entry)
        file_of(tmp_path, entry).write_bytes(b"no")
        with pytest.raises(CorruptEntry):
            disk.get(entry.key)
    assert len(list((tmp_path / "quarantine").iterdir())) == 8


def test_another_identity_or_context_is_a_miss(disk: DiskTier) -> None:
    store, entry = make_store(disk), make_entry(1)
    store.put(entry)
    assert store.lookup(entry.token_ids, CONTEXT).entry is not None
    assert store.lookup(entry.token_ids, ()).entry is None
    other = KVStore(RamTier(0), disk, "namespace", "identity-2")
    assert other.lookup(entry.token_ids, CONTEXT).entry is None
    foreign = KVStore(RamTier(0), disk, "namespace-2", "identity")
    assert foreign.lookup(entry.token_ids, CONTEXT).entry is None


def test_ram_is_filled_by_use_and_says_where_an_entry_was(disk: DiskTier) -> None:
    store, entry = make_store(disk), make_entry(1)
    store.put(entry)
    assert [store.lookup(entry.token_ids, CONTEXT).tier for _ in range(3)] == ["disk", "ram", "ram"]
    assert store.stats().counters == {
        "hits_disk": 1,
        "hits_ram": 2,
        "misses": 0,
        "corrupt": 0,
        "evicted": 0,
        "saved_ms": 0,
    }


def test_ram_budget_holds_and_the_least_recently_used_goes_first() -> None:
    entries = [make_entry(seed) for seed in range(4)]
    tier = RamTier(entries[0].num_bytes * 3)
    for entry in entries[:3]:
        tier.put(entry)
    tier.get(entries[0].key)
    tier.put(entries[3])
    assert [tier.contains(e.key) for e in entries] == [True, False, True, True]
    assert tier.stats().bytes <= tier.stats().budget_bytes
    with pytest.raises(TierFull):
        tier.put(make_entry(9, tokens=200))


def test_pinned_entries_stay(tmp_path: Path, index: MemoryIndex) -> None:
    entries = [make_entry(seed) for seed in range(4)]
    ram = RamTier(entries[0].num_bytes * 2)
    disk = DiskTier(tmp_path, (entries[0].num_bytes + 1500) * 2, index)
    for tier in (ram, disk):
        tier.put(entries[0])
        tier.pin(entries[0].key.digest, pinned=True)
        for entry in entries[1:]:
            tier.put(entry)
        assert [tier.contains(e.key) for e in entries] == [True, False, False, True]
    reopened = DiskTier(tmp_path, 10**6, index)
    assert reopened.stats().pinned == 1
    disk.pin(entries[0].key.digest, pinned=False)
    ram.pin(entries[0].key.digest, pinned=False)
    assert DiskTier(tmp_path, 10**6, index).stats().pinned == ram.stats().pinned == 0


def test_disk_budget_is_counted_in_real_file_sizes_also_after_a_restart(
    tmp_path: Path, index: MemoryIndex
) -> None:
    entry = make_entry(0)
    budget = (entry.num_bytes + 1500) * 3
    disk = DiskTier(tmp_path, budget, index)
    for seed in range(8):
        disk.put(make_entry(seed))
    sizes = sum(p.stat().st_size for p in tmp_path.rglob("*.safetensors"))
    assert disk.stats().bytes == sizes <= budget
    assert disk.evicted == 8 - disk.stats().entries
    reopened = DiskTier(tmp_path, budget, index)
    assert reopened.stats() == disk.stats()
    with pytest.raises(TierFull):
        reopened.put(make_entry(50), evict=False)


def test_last_use_survives_a_restart(tmp_path: Path, index: MemoryIndex) -> None:
    entries = [make_entry(seed) for seed in range(3)]
    disk = DiskTier(tmp_path, (entries[0].num_bytes + 1500) * 3, index)
    for entry in entries:
        disk.put(entry)
    disk.get(entries[0].key)
    disk.flush()
    reopened = DiskTier(tmp_path, (entries[0].num_bytes + 1500) * 3, index)
    reopened.put(make_entry(7))
    assert [reopened.contains(e.key) for e in entries] == [True, False, True]


def test_start_removes_leftovers_adopts_files_and_forgets_lost_ones(
    tmp_path: Path, index: MemoryIndex
) -> None:
    disk = DiskTier(tmp_path, 10**6, index)
    kept, lost, unknown = (make_entry(seed) for seed in range(3))
    for entry in (kept, lost, unknown):
        disk.put(entry)
    file_of(tmp_path, lost).unlink()
    index.forget([unknown.key.digest])  # killed between rename and record
    leftover = file_of(tmp_path, kept).with_name("half.safetensors.tmp")
    leftover.write_bytes(b"half")
    garbage = file_of(tmp_path, kept).with_name("garbage.safetensors")
    garbage.write_bytes(b"garbage")
    reopened = DiskTier(tmp_path, 10**6, index)
    assert not leftover.exists()
    assert not garbage.exists()
    assert [reopened.contains(e.key) for e in (kept, lost, unknown)] == [True, False, True]
    assert {row.digest for row in index.rows()} == {kept.key.digest, unknown.key.digest}
    assert reopened.get(unknown.key) is not None


def test_a_file_that_vanished_is_a_miss(tmp_path: Path, disk: DiskTier) -> None:
    entry = make_entry(1)
    disk.put(entry)
    file_of(tmp_path, entry).unlink()
    assert disk.get(entry.key) is None
    assert not disk.contains(entry.key)


def test_purge_reaches_every_context_and_tier(disk: DiskTier) -> None:
    store, entry = make_store(disk), make_entry(1)
    twin_key = store.key_of(entry.token_ids, ())
    twin = ChunkKV(twin_key, entry.token_ids, entry.keys, entry.values)
    other = make_entry(2)
    for item in (entry, twin, other):
        store.put(item)
    store.lookup(entry.token_ids, CONTEXT)
    purged = store.purge([entry.token_ids])
    assert purged.entries == 2
    assert purged.complete
    assert purged.num_bytes > 2 * (entry.num_bytes - 200)
    assert store.lookup(entry.token_ids, CONTEXT).entry is None
    assert store.lookup(entry.token_ids, ()).entry is None
    assert store.lookup(other.token_ids, CONTEXT).entry is not None


def test_an_index_that_refuses_costs_the_entry_and_nothing_else(
    tmp_path: Path, disk: DiskTier, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise StorageFull("the database is full")

    class StorageFull(Exception):
        """Of another package."""

    monkeypatch.setattr(index, "record", full)
    entry = make_entry(1)
    with pytest.raises(TierUnavailable, match="the database is full"):
        disk.put(entry)
    assert not file_of(tmp_path, entry).exists()
    assert disk.stats().bytes == 0


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """The kernel refuses to grow files past this size, as on a full disk."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_refused_write_leaves_nothing_behind(tmp_path: Path, disk: DiskTier) -> None:
    entry = make_entry(1)
    with (
        largest_file(500),
        pytest.raises(TierUnavailable, match="cannot write"),
    ):
        disk.put(entry)
    assert disk.stats().entries == 0
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    disk.put(entry)
    assert disk.contains(entry.key)


def test_a_full_disk_at_the_last_step_is_reported(
    tmp_path: Path, disk: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kvstore.entry_file.os, "replace", full)
    with pytest.raises(TierUnavailable, match="No space left"):
        disk.put(make_entry(1))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_entry_too_large_for_ram_is_served_from_disk(disk: DiskTier) -> None:
    store, entry = make_store(disk, ram_bytes=10), make_entry(1)
    store.put(entry)
    assert [store.lookup(entry.token_ids, CONTEXT).tier for _ in range(2)] == ["disk", "disk"]


def test_the_null_tier_keeps_nothing() -> None:
    tier, entry = NullTier(), make_entry(1)
    with pytest.raises(TierFull):
        tier.put(entry)
    tier.pin(entry.key.digest, pinned=True)
    assert tier.get(entry.key) is None
    assert not tier.contains(entry.key)
    assert tier.remove([entry.key.digest]) == 0
    assert tier.stats().entries == 0
