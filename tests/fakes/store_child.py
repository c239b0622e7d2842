"""A process that writes KV entries until it is killed, and says which are committed."""

import os
from pathlib import Path

import torch

from app.db.entries import EntryRows
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.errors import CorruptEntry
from kvstore.keys import content_id, entry_key
from kvstore.types import ChunkKV

PLENTY = 10**10
TOKENS = 600  # 230 KB: a write takes long enough to be cut off
LOG_LINE = 8


def entry_of(seed: int, namespace: str = "mine") -> ChunkKV:
    """The same in every process."""
    ids = tuple(range(seed, seed + TOKENS))
    key = entry_key(namespace, "identity", content_id(ids), ())
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, 3, TOKENS, 8, generator=generator)
    return ChunkKV(key, ids, rows, -rows)


def open_disk(root: Path, budget: int = PLENTY) -> tuple[DiskTier, EntryRows]:
    index = EntryRows(f"sqlite:///{root / 'larder.db'}")
    return DiskTier(root / "kv", budget, index, DiskRules(eviction="gdsf")), index


def write_on(root: str, first_seed: int) -> None:
    """Put entry after entry; a line in `committed` for each one that `put` took."""
    torch.set_num_threads(1)
    disk, _ = open_disk(Path(root))
    log = os.open(Path(root) / "committed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    (Path(root) / "ready").touch()
    seed = first_seed
    while True:
        disk.put(entry_of(seed))
        os.write(log, f"{seed:7}\n".encode())
        seed += 1


def share(root: str, budget: int, rounds: int, step: int) -> None:
    """Put, use, verify and evict the same few entries as another process. Exits 3 where it met a
    wrong one."""
    torch.set_num_threads(1)
    disk, _ = open_disk(Path(root), budget)
    for turn in range(rounds):
        entry = entry_of(1000 + turn * step % 7)
        try:
            disk.put(entry)
            found = disk.get(entry.key)
        except CorruptEntry:
            os._exit(3)
        if found is not None and not torch.equal(found.keys, entry.keys):
            os._exit(3)
        if turn % 11 == 5:
            disk.remove([entry.key.digest])
