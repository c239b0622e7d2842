"""KVStore: find, keep and forget entries over the tiers. Knows keys and bytes, not prompts.

What goes wrong with a shared tier never reaches the caller: it is a miss, or kept here only.
"""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kvstore.disk_tier import DiskTier
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.keys import content_id, entry_key
from kvstore.protocols import Tier
from kvstore.shared_tier import SharedTier
from kvstore.types import ChunkKV, EntryKey, StoreStats

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Outcome of one search. `tier` is where the entry was found, `corrupt` if it was damaged."""

    entry: ChunkKV | None
    tier: str | None = None
    corrupt: bool = False


MISS = Lookup(None)


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed; not `complete` where a shared tier could not be asked."""

    entries: int
    num_bytes: int
    complete: bool = True


class KVStore:
    """Entries of one namespace and one model identity, RAM in front of disk in front of shared."""

    def __init__(
        self,
        ram: Tier,
        disk: DiskTier,
        namespace: str,
        identity: str,
        shared: SharedTier | None = None,
    ) -> None:
        self._ram = ram
        self._disk = disk
        self._shared = shared
        self._namespace = namespace
        self._identity = identity
        self._counters: Counter[str] = Counter()
        self._lock = threading.Lock()

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
        is_here = self._ram.contains(key) or self._disk.contains(key)
        return is_here or (self._shared is not None and self._shared.contains(key))

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        """Keep an exactly computed entry on disk. Raises TierFull, TierUnavailable or NotFinite."""
        self._disk.put(entry, evict=evict)
        if self._shared is not None:
            try:
                self._shared.put(entry, evict=evict)
            except (TierFull, TierUnavailable) as error:
                logger.debug("kept on disk only: %s", error)
                self._count("not_shared")

    def pin(self, key: EntryKey, pinned: bool) -> None:
        self._ram.pin(key.digest, pinned)
        self._disk.pin(key.digest, pinned)
        if self._shared is not None:
            try:
                self._shared.pin(key.digest, pinned)
            except TierUnavailable as error:
                logger.warning("pinned here only: %s", error)

    def purge(self, token_ids: Sequence[tuple[int, ...]]) -> Purged:
        """Remove every entry of these contents, and every one computed behind one of them, from
        every tier."""
        contents = [content_id(ids) for ids in token_ids]
        digests = set(self._disk.digests_of(contents))
        num_bytes = self._disk.remove(list(digests))
        complete = True
        if self._shared is not None:
            try:
                shared = self._shared.digests_of(contents)
                num_bytes += self._shared.remove(shared)
                digests |= set(shared)
            except TierUnavailable as error:
                logger.warning("purged here only: %s", error)
                complete = False
        self._ram.remove(list(digests))
        return Purged(len(digests), num_bytes, complete)

    def contexts(self) -> list[tuple[str, tuple[str, ...]]]:
        """Content id and context of every entry on disk."""
        return [(row.content, tuple(row.preceding.split(","))) for row in self._disk.indexed()]

    def discard(self, token_ids: Sequence[int], context: Sequence[str]) -> None:
        """Forget one entry, in every tier that can be asked."""
        digest = self.key_of(token_ids, context).digest
        self._ram.remove([digest])
        self._disk.remove([digest])
        if self._shared is not None:
            try:
                self._shared.remove([digest])
            except TierUnavailable as error:
                logger.warning("discarded here only: %s", error)

    def close(self) -> None:
        """Write what is only in memory, and let go of a shared tier."""
        self._disk.flush()
        if self._shared is not None:
            self._shared.close()

    def stats(self) -> StoreStats:
        with self._lock:
            counters = dict(self._counters)
        for name in ("hits_ram", "hits_disk", "misses", "corrupt"):
            counters.setdefault(name, 0)
        counters["evicted"] = self._disk.evicted
        tiers = [self._ram.stats(), self._disk.stats()]
        if self._shared is not None:  # may ask the server
            counters.setdefault(f"hits_{self._shared.name}", 0)
            counters["evicted"] += self._shared.evicted
            tiers.append(self._shared.stats())
        return StoreStats(tuple(tiers), counters)

    def _find(self, key: EntryKey) -> Lookup:
        entry = self._ram.get(key)
        if entry is not None:
            return Lookup(entry, self._ram.name)
        entry = self._read_disk(key)
        if entry is not None:
            self._promote(entry)
            return Lookup(entry, self._disk.name)
        if self._shared is not None:
            entry = self._shared.get(key)
            if entry is not None:
                self._copy_to_disk(entry)
                self._promote(entry)
                return Lookup(entry, self._shared.name)
        return MISS

    def _read_disk(self, key: EntryKey) -> ChunkKV | None:
        try:
            return self._disk.get(key)
        except TierUnavailable as error:
            logger.warning("disk tier not readable: %s", error)
            return None

    def _copy_to_disk(self, entry: ChunkKV) -> None:
        """So that the next start finds it here; nothing has to go for it."""
        try:
            self._disk.put(entry, evict=False)
        except (TierFull, TierUnavailable) as error:
            logger.debug("not copied to disk: %s", error)

    def _promote(self, entry: ChunkKV) -> None:
        try:
            self._ram.put(entry)
        except TierFull:
            self._count("too_large_for_ram")

    def _count(self, name: str) -> None:
        with self._lock:
            self._counters[name] += 1
