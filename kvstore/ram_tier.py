"""Entries in host memory, least recently used first out. Holds only what a slower tier gave it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from kvstore.errors import TierFull
from kvstore.keys import is_behind
from kvstore.types import ChunkKV, EntryKey, TierStats


class RamTier:
    """Byte-capped LRU. A pinned entry stays until it is unpinned or removed; what was not used for
    `ttl_s` seconds is not found any more."""

    name = "ram"

    def __init__(self, budget_bytes: int, ttl_s: float | None = None) -> None:
        self._budget = budget_bytes
        self._ttl_s = ttl_s
        self._entries: OrderedDict[str, ChunkKV] = OrderedDict()
        self._used_at: dict[str, float] = {}  # monotonic
        self._pinned: set[str] = set()
        self._bytes = 0
        self._lock = threading.Lock()
        self.evicted = 0
        self.expired = 0

    def get(self, key: EntryKey) -> ChunkKV | None:
        with self._lock:
            self._expire()
            entry = self._entries.get(key.digest)
            if entry is not None:
                self._entries.move_to_end(key.digest)
                self._used_at[key.digest] = time.monotonic()
            return entry

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        with self._lock:
            self._expire()
            self._drop(entry.key.digest)
            if evict:
                self._make_room(entry.num_bytes)
            if self._bytes + entry.num_bytes > self._budget:
                raise TierFull(f"{entry.num_bytes} bytes do not fit {self._budget} of {self.name}")
            self._entries[entry.key.digest] = self._place(entry)
            self._used_at[entry.key.digest] = time.monotonic()
            self._bytes += entry.num_bytes

    def contains(self, key: EntryKey) -> bool:
        with self._lock:
            self._expire()
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

    def digests_of(self, namespace: str, contents: Sequence[str]) -> list[str]:
        """Digests of a tenant's entries whose content id, or one they were computed behind, is
        among `contents`: a slower tier may have dropped them meanwhile."""
        wanted = set(contents)
        return [
            key.digest
            for key in self.held_keys()
            if key.namespace == namespace and is_behind(key.content, key.preceding, wanted)
        ]

    def digests_of_namespace(self, namespace: str) -> list[str]:
        return [key.digest for key in self.held_keys() if key.namespace == namespace]

    def held_keys(self) -> list[EntryKey]:
        with self._lock:
            return [entry.key for entry in self._entries.values()]

    def stats(self) -> TierStats:
        with self._lock:
            self._expire()
            pinned = len(self._pinned & self._entries.keys())
            return TierStats(self.name, self._bytes, self._budget, len(self._entries), pinned)

    def _place(self, entry: ChunkKV) -> ChunkKV:
        """Where its tensors lie from now on."""
        return entry

    def _expire(self) -> None:
        """The least recently used stand first, so this looks at few that stay."""
        if self._ttl_s is None:
            return
        oldest = time.monotonic() - self._ttl_s
        for digest in list(self._entries):
            if self._used_at[digest] >= oldest:
                return
            if digest not in self._pinned:
                self._drop(digest)
                self.expired += 1

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
            del self._used_at[digest]
