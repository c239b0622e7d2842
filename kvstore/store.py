"""KVStore: find, keep and forget entries over the tiers. Knows keys and bytes, not prompts.

What goes wrong with a shared tier never reaches the caller: it is a miss, or kept here only.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from kvstore.disk_tier import DiskTier
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.impact import Statistics
from kvstore.keys import content_id, entry_key
from kvstore.load_rates import LoadRates
from kvstore.purging import Purged, Tiers, purge_contents, purge_namespace, set_pinned
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedTier
from kvstore.types import ChunkKV, EntryKey, StoreStats

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Outcome of one search. `tier` is where the entry was found, `corrupt` if it was damaged,
    `slower` if a tier was passed over because computing is faster than what it delivers, `away` if
    one could not be asked."""

    entry: ChunkKV | None
    tier: str | None = None
    corrupt: bool = False
    slower: bool = False
    away: bool = False
    saved_seconds: float = 0.0  # by loading instead of computing it; 0 where not measured


MISS = Lookup(None)
NO_RATES = LoadRates(lambda _: 0.0)


class KVStore:
    """Entries of one namespace and one model identity: device, RAM, disk, shared, in that order."""

    def __init__(
        self,
        ram: RamTier,
        disk: DiskTier,
        namespace: str,
        identity: str,
        shared: SharedTier | None = None,
        *,
        device: RamTier | None = None,
        rates: LoadRates = NO_RATES,
    ) -> None:
        self._device = device
        self._rates = rates
        self._ram = ram
        self._disk = disk
        self._shared = shared
        self._namespace = namespace
        self._identity = identity
        self._counters: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def namespace(self) -> str:
        return self._namespace

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def tiers(self) -> Tiers:
        """For looking after the entries (kvstore.upkeep)."""
        return Tiers(self._device, self._ram, self._disk, self._shared)

    def key_of(self, token_ids: Sequence[int], context: Sequence[str]) -> EntryKey:
        """Key of a segment behind the segments whose content ids are `context`."""
        return entry_key(self._namespace, self._identity, content_id(token_ids), context)

    def lookup(
        self,
        token_ids: tuple[int, ...],
        context: Sequence[str],
        *,
        by_layer: bool = False,
        counts: bool = True,
    ) -> Lookup:
        """Find a segment's entry; a hit's token ids are compared one by one. With `by_layer` its
        rows may still be coded (ChunkKV.arrival). Without `counts` it is no use, no hit and no
        miss: the same prompt has looked before."""
        key = self.key_of(token_ids, context)
        try:
            found = self._find(key, len(token_ids), by_layer)
        except CorruptEntry:
            self._count("corrupt")
            return Lookup(None, corrupt=True)
        if found.entry is None or found.entry.token_ids != token_ids:
            if counts:
                self._count("slower_than_compute" if found.slower else "misses")
            return replace(found, entry=None, tier=None)
        if counts:
            self._disk.used(key.digest)
            self._count(f"hits_{found.tier}")
        return found

    def contains(self, token_ids: Sequence[int], context: Sequence[str]) -> bool:
        if self.holds(token_ids, context):
            return True
        key = self.key_of(token_ids, context)
        return self._shared is not None and self._shared.contains(key)

    def holds(self, token_ids: Sequence[int], context: Sequence[str]) -> bool:
        """Whether it lies here, without asking a shared tier."""
        key = self.key_of(token_ids, context)
        on_device = self._device is not None and self._device.contains(key)
        return on_device or self._ram.contains(key) or self._disk.contains(key)

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        """Keep an exactly computed entry on disk. Raises TierFull, TierUnavailable or NotFinite."""
        self._disk.put(entry, evict=evict)
        if self._shared is not None:
            try:
                self._shared.put(entry, evict=evict)
            except (TierFull, TierUnavailable) as error:
                logger.debug("kept on disk only: %s", error)
                self._count("not_shared")

    def credit(self, key: EntryKey, overhead: float) -> None:
        """A hit is reused with this share of it computed anew: eviction may go by that."""
        self._disk.credit(key.digest, overhead)

    def note_saved(self, milliseconds: float) -> None:
        """What a request's reuse saved (kvstore.saving): look-ups alone do not know what of their
        rows is computed anew."""
        self._count("saved_ms", round(milliseconds))

    def pin(self, key: EntryKey, pinned: bool) -> None:
        set_pinned(self.tiers, [key.digest], pinned)

    def purge(self, token_ids: Sequence[tuple[int, ...]]) -> Purged:
        """Remove this tenant's entries of these contents, and those computed behind one of them,
        from every tier."""
        contents = [content_id(ids) for ids in token_ids]
        return purge_contents(self.tiers, self._namespace, contents)

    def purge_namespace(self) -> Purged:
        """Remove every entry of this store's tenant, other models' too, from every tier."""
        return purge_namespace(self.tiers, self._namespace)

    def is_pinned(self, token_ids: Sequence[int], context: Sequence[str]) -> bool:
        return self._disk.is_pinned(self.key_of(token_ids, context).digest)

    def contexts(self) -> list[tuple[str, tuple[str, ...]]]:
        """Content id and context of every entry on disk that this store would find."""
        mine = (self._namespace, self._identity)
        return [
            (row.content, tuple(row.preceding.split(",")))
            for row in self._disk.entries()
            if (row.namespace, row.identity) == mine
        ]

    def statistics(self, token_ids: Sequence[int], context: Sequence[str]) -> Statistics | None:
        """What is kept beside an entry's rows, here and without reading them: counts as no use, and
        the file's checksum is not looked at. None where there is no such entry, or nothing
        beside it."""
        return self._disk.statistics(self.key_of(token_ids, context).digest) or None

    def discard(self, token_ids: Sequence[int], context: Sequence[str]) -> None:
        """Forget one entry, in every tier that can be asked."""
        digest = self.key_of(token_ids, context).digest
        for tier in self.tiers.present():
            try:
                tier.remove([digest])
            except TierUnavailable as error:
                logger.warning("not discarded from %s: %s", tier.name, error)

    def close(self) -> None:
        """Write what is only in memory, and let go of a shared tier."""
        self._disk.flush()
        if self._shared is not None:
            self._shared.close()

    def stats(self) -> StoreStats:
        with self._lock:
            counters = dict(self._counters)
        for name in ("hits_ram", "hits_disk", "misses", "corrupt", "saved_ms"):
            counters.setdefault(name, 0)
        counters["evicted"] = self._disk.evicted
        tiers = [self._ram.stats(), self._disk.stats()]
        if self._device is not None:
            counters.setdefault("hits_device", 0)
            tiers.insert(0, self._device.stats())
        if self._shared is not None:  # may ask the server
            counters.setdefault(f"hits_{self._shared.name}", 0)
            counters["evicted"] += self._shared.evicted
            tiers.append(self._shared.stats())
        return StoreStats(tuple(tiers), counters, self._rates.bytes_a_second())

    def _find(self, key: EntryKey, num_tokens: int, by_layer: bool) -> Lookup:
        for memory in (self._device, self._ram):
            entry = memory.get(key) if memory is not None else None
            if memory is not None and entry is not None:
                if memory is self._ram:
                    self._promote(entry, to=self._device)
                return Lookup(entry, memory.name, saved_seconds=self._rates.saved(num_tokens, 0.0))
        is_slower = is_away = False
        for tier in (self._disk, self._shared):
            if tier is None:
                continue
            if self._rates.is_slower(tier.name, num_tokens):
                is_slower = is_slower or tier is self._shared or self._disk.contains(key)
                continue
            started = time.perf_counter()
            try:
                entry, data = self._read(tier, key, by_layer)
            except TierUnavailable as error:
                logger.warning("%s tier not readable: %s", tier.name, error)
                entry, data, is_away = None, None, True
            is_away = is_away or (tier is self._shared and tier.is_away)
            if entry is not None:
                seconds = time.perf_counter() - started
                if entry.arrival is None:
                    self._loaded(tier, data, seconds, entry, 0.0)
                else:
                    entry.arrival.whole = partial(self._loaded, tier, data, seconds)
                saved = self._rates.saved(num_tokens, seconds)
                return Lookup(entry, tier.name, saved_seconds=saved)
        return Lookup(None, slower=is_slower, away=is_away)

    def _loaded(
        self,
        tier: DiskTier | SharedTier,
        data: bytes | None,
        checked: float,
        entry: ChunkKV,
        decoded: float,
    ) -> None:
        """A whole entry came from `tier` in so many seconds: the faster ones get it too."""
        seconds = checked + decoded
        self._rates.loaded(tier.name, entry.num_bytes, len(entry.token_ids), seconds)
        if tier is not self._disk:
            self._copy_to_disk(entry, data)
        self._promote(entry, to=self._ram)
        self._promote(entry, to=self._device)

    @staticmethod
    def _read(
        tier: DiskTier | SharedTier, key: EntryKey, by_layer: bool
    ) -> tuple[ChunkKV | None, bytes | None]:
        """The entry, and its file where that came from a server. Raises TierUnavailable."""
        if isinstance(tier, DiskTier):
            return tier.get(key, by_layer=by_layer, counts=False), None  # `lookup` does
        found = tier.fetch(key, by_layer=by_layer)
        return (found.entry, found.data) if found is not None else (None, None)

    def _copy_to_disk(self, entry: ChunkKV, data: bytes | None) -> None:
        """So that the next start finds it here; nothing has to go for it."""
        try:
            self._disk.put(entry, evict=False, data=data)
        except (TierFull, TierUnavailable) as error:
            logger.debug("not copied to disk: %s", error)

    def _promote(self, entry: ChunkKV, to: RamTier | None) -> None:
        if to is None:
            return
        try:
            to.put(entry)
        except TierFull:
            self._count(f"too_large_for_{to.name}")
            return
        if self._disk.is_pinned(entry.key.digest):  # a restart forgot it here
            to.pin(entry.key.digest, pinned=True)

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counters[name] += by
