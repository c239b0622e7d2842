"""KVStore: find, keep and forget entries over the tiers. Knows keys and bytes, not prompts."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kvstore.disk_tier import DiskTier
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.keys import content_id, entry_key
from kvstore.protocols import Tier
from kvstore.types import ChunkKV, EntryKey, StoreStats

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Outcome of one search. `tier` is where the entry was found, `corrupt` if it was damaged."""

    entry: ChunkKV | None
    tier: str | None = None
    corrupt: bool = False


MISS = Lookup(None)


class KVStore:
    """Entries of one namespace and one model identity, RAM in front of disk."""

    def __init__(self, ram: Tier, disk: DiskTier, namespace: str, identity: str) -> None:
        self._ram = ram
        self._disk = disk
        self._namespace = namespace
        self._identity = identity
        self._counters: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def lossless(self) -> bool:
        """Whether entries come back as they were put in."""
        return self._disk.codec.lossless

    def key_of(self, token_ids: Sequence[int], context: Sequence[str]) -> EntryKey:
        """Key of a segment behind the segments whose content ids are `context`."""
        return entry_key(self._namespace, self._identity, content_id(token_ids), context)

    def lookup(self, token_ids: tuple[int, ...], context: Sequence[str]) -> Lookup:
        """Find a segment's entry; a hit's token ids are compared one by one."""
        key = self.key_of(token_ids, context)
        try:
            found = self._find(key)
        except CorruptEntry:
            self._count("corrupt")
            return Lookup(None, corrupt=True)
        if found.entry is None or found.entry.token_ids != token_ids:
            self._count("misses")
            return MISS
        self._count(f"hits_{found.tier}")
        return found

    def contains(self, token_ids: Sequence[int], context: Sequence[str]) -> bool:
        key = self.key_of(token_ids, context)
        return self._ram.contains(key) or self._disk.contains(key)

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        """Keep an exactly computed entry on disk. Raises TierFull or TierUnavailable."""
        self._disk.put(entry, evict=evict)

    def pin(self, key: EntryKey, pinned: bool) -> None:
        self._ram.pin(key.digest, pinned)
        self._disk.pin(key.digest, pinned)

    def purge(self, token_ids: Sequence[tuple[int, ...]]) -> tuple[int, int]:
        """Remove every entry of these contents, and every one computed behind one of them, from
        every tier; returns (entries, bytes)."""
        digests = self._disk.digests_of([content_id(ids) for ids in token_ids])
        self._ram.remove(digests)
        return len(digests), self._disk.remove(digests)

    def flush(self) -> None:
        self._disk.flush()

    def stats(self) -> StoreStats:
        with self._lock:
            counters = dict(self._counters)
        for name in ("hits_ram", "hits_disk", "misses", "corrupt"):
            counters.setdefault(name, 0)
        counters["evicted"] = self._disk.evicted
        return StoreStats((self._ram.stats(), self._disk.stats()), counters)

    def _find(self, key: EntryKey) -> Lookup:
        entry = self._ram.get(key)
        if entry is not None:
            return Lookup(entry, self._ram.name)
        try:
            entry = self._disk.get(key)
        except TierUnavailable as error:
            logger.warning("disk tier not readable: %s", error)
            return MISS
        if entry is None:
            return MISS
        self._promote(entry)
        return Lookup(entry, self._disk.name)

    def _promote(self, entry: ChunkKV) -> None:
        try:
            self._ram.put(entry)
        except TierFull:
            self._count("too_large_for_ram")

    def _count(self, name: str) -> None:
        with self._lock:
            self._counters[name] += 1
