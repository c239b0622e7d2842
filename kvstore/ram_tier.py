"""Entries in host memory, least recently used first out. Holds only what a slower tier gave it."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from kvstore.errors import TierFull
from kvstore.types import ChunkKV, EntryKey, TierStats


class RamTier:
    """Byte-capped LRU. A pinned entry stays until it is unpinned or removed."""

    name = "ram"

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._entries: OrderedDict[str, ChunkKV] = OrderedDict()
        self._pinned: set[str] = set()
        self._bytes = 0
        self._lock = threading.Lock()
        self.evicted = 0

    def get(self, key: EntryKey) -> ChunkKV | None:
        with self._lock:
            entry = self._entries.get(key.digest)
            if entry is not None:
                self._entries.move_to_end(key.digest)
            return entry

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        with self._lock:
            self._drop(entry.key.digest)
            if evict:
                self._make_room(entry.num_bytes)
            if self._bytes + entry.num_bytes > self._budget:
                raise TierFull(f"{entry.num_bytes} bytes do not fit {self._budget} bytes of RAM")
            self._entries[entry.key.digest] = entry
            self._bytes += entry.num_bytes

    def contains(self, key: EntryKey) -> bool:
        with self._lock:
            return key.digest in self._entries

    def remove(self, digests: Sequence[str]) -> int:
        with self._lock:
            before = self._bytes
            for digest in digests:
                self._drop(digest)
                self._pinned.discard(digest)
            return before - self._bytes

    def pin(self, digest: str, pinned: bool) -> None:
        with self._lock:
            if pinned:
                self._pinned.add(digest)
            else:
                self._pinned.discard(digest)

    def stats(self) -> TierStats:
        with self._lock:
            pinned = len(self._pinned & self._entries.keys())
            return TierStats(self.name, self._bytes, self._budget, len(self._entries), pinned)

    def _make_room(self, num_bytes: int) -> None:
        if num_bytes > self._budget:
            return
        for digest in [d for d in self._entries if d not in self._pinned]:
            if self._bytes + num_bytes <= self._budget:
                return
            self._drop(digest)
            self.evicted += 1

    def _drop(self, digest: str) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._bytes -= entry.num_bytes
