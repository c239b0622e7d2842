"""What the disk tier writes down of uses, and what a purge takes from it."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kvstore.disk_tier import DiskTier
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.store import KVStore
from tests.support.entries import CONTEXT, file_of, make_entry, make_store


def test_uses_survive_a_restart_as_they_were_counted(tmp_path: Path, index: MemoryIndex) -> None:
    disk = DiskTier(tmp_path, 10**6, index)
    entries = [make_entry(seed) for seed in range(2)]
    for entry in entries:
        disk.put(entry)
    for _ in range(3):
        disk.get(entries[0].key)
    disk.get(entries[1].key)
    last = {digest: held.last_used_at for digest, held in disk._ledger.held.items()}
    disk.flush()
    again = DiskTier(tmp_path, 10**6, index)
    held = again._ledger.held
    assert [held[entry.key.digest].uses for entry in entries] == [3, 1]
    assert {digest: one.last_used_at for digest, one in held.items()} == last


def test_uses_that_could_not_be_written_are_written_later(
    tmp_path: Path, disk: DiskTier, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    entry = make_entry(1)
    disk.put(entry)
    disk.get(entry.key)
    with monkeypatch.context() as patch:
        patch.setattr(index, "touch", full)
        with pytest.raises(OSError, match="space"):
            disk.flush()
    disk.get(entry.key)
    disk.flush()
    assert DiskTier(tmp_path, 10**6, index)._ledger.held[entry.key.digest].uses == 2


def test_a_purge_leaves_another_tenants_entries_alone(tmp_path: Path, index: MemoryIndex) -> None:
    disk = DiskTier(tmp_path, 10**6, index)
    stores = [KVStore(RamTier(10**6), disk, name, "identity") for name in ("one", "two")]
    entry = make_entry(1)
    for store in stores:
        store.put(replace(entry, key=store.key_of(entry.token_ids, CONTEXT)))
        store.lookup(entry.token_ids, CONTEXT)
    assert stores[0].purge([entry.token_ids]).entries == 1
    assert stores[0].lookup(entry.token_ids, CONTEXT).entry is None
    assert stores[1].lookup(entry.token_ids, CONTEXT).entry is not None


def test_a_purge_reaches_what_was_put_aside(tmp_path: Path, disk: DiskTier) -> None:
    store, entries = make_store(disk, 0), [make_entry(seed) for seed in range(3)]
    for entry in entries:
        store.put(entry)
        path = file_of(tmp_path, entry)
        data = bytearray(path.read_bytes())
        data[-5] ^= 0xFF
        path.write_bytes(data if entry is not entries[2] else b"no")
        assert store.lookup(entry.token_ids, CONTEXT).corrupt
    store.put(entries[0])  # computed again meanwhile
    aside = tmp_path / "quarantine"
    assert len(list(aside.iterdir())) == 3
    purged = store.purge([entries[0].token_ids])
    assert purged.complete
    assert purged.entries == 2  # the third cannot be told any more, so it goes with any purge
    assert [path.name for path in aside.iterdir()] == [file_of(tmp_path, entries[1]).name]
    store.purge_namespace()
    assert list(aside.iterdir()) == []
