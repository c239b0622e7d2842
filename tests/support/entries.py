"""Small entries of the KV store, with rows by chance."""

from pathlib import Path

import torch

from kvstore.disk_tier import DiskTier
from kvstore.keys import content_id, entry_key
from kvstore.ram_tier import RamTier
from kvstore.store import KVStore
from kvstore.types import ChunkKV

CONTEXT = (content_id((9,)),)


def make_entry(seed: int, tokens: int = 20, identity: str = "identity") -> ChunkKV:
    torch.manual_seed(seed)
    ids = tuple(range(seed, seed + tokens))
    key = entry_key("namespace", identity, content_id(ids), CONTEXT)
    return ChunkKV(key, ids, torch.randn(2, 3, tokens, 8), torch.randn(2, 3, tokens, 8))


def file_of(directory: Path, entry: ChunkKV) -> Path:
    return directory / entry.key.digest[:2] / f"{entry.key.digest}.safetensors"


def make_store(disk: DiskTier, ram_bytes: int = 10**6) -> KVStore:
    return KVStore(RamTier(ram_bytes), disk, "namespace", "identity")
