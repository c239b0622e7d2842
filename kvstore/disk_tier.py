"""Entries as files under one folder, listed in the entry index; survives restarts and kill -9.

The files are the truth about bytes, the index about use and pins: at start both are compared,
temporary files are removed, and a file the index does not know is taken in again or put aside.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kvstore.codecs import RAW
from kvstore.entry_file import from_bytes, to_bytes
from kvstore.entry_folder import EntryFolder
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.eviction import Held, new_eviction
from kvstore.keys import is_behind
from kvstore.ledger import Ledger
from kvstore.pending_uses import PendingUses
from kvstore.protocols import Codec, EntryIndex, IndexedEntry
from kvstore.types import ChunkKV, EntryKey, TierStats

logger = logging.getLogger(__name__)

SWEEP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class DiskRules:
    """How entries are written and which go. `seconds_of` tokens: what computing them costs;
    ttl_s: entries unused for longer are removed, None for never; quota_bytes: most that one
    namespace may take, None for the whole budget."""

    codec: Codec = RAW
    eviction: str = "lru"
    seconds_of: Callable[[int], float] = float
    ttl_s: float | None = None
    quota_bytes: int | None = None


DEFAULT_RULES = DiskRules()


class DiskTier:
    """Byte-capped by real file sizes; what goes first is up to the eviction rule."""

    name = "disk"

    def __init__(
        self,
        directory: Path,
        budget_bytes: int,
        index: EntryIndex,
        rules: DiskRules = DEFAULT_RULES,
    ) -> None:
        self.codec = rules.codec
        self._rules = rules
        self._ledger = Ledger(new_eviction(rules.eviction), budget_bytes, rules.quota_bytes)
        self._folder = EntryFolder(directory)
        self._index = index
        self._uses = PendingUses(index)
        self._lost_pins: set[str] = set()  # of damaged entries, for when they are computed again
        self._now = 0.0
        self._swept_at = 0.0
        self._lock = threading.RLock()
        self.evicted = 0
        self.expired = 0
        self._recover()
        self._sweep()
        self._fit()

    def get(self, key: EntryKey, *, by_layer: bool = False, counts: bool = True) -> ChunkKV | None:
        if not self.contains(key):
            return None
        try:  # without the lock: several are read and checked at once
            entry = from_bytes(self._folder.read(key.digest), key, by_layer=by_layer)
        except FileNotFoundError:
            with self._lock:
                self._forget([key.digest])
            return None
        except OSError as error:
            raise TierUnavailable(f"cannot read {key.digest[:12]}: {error}") from error
        except CorruptEntry:
            with self._lock:
                if key.digest in self._ledger.held:  # else somebody was quicker
                    self._put_aside(key.digest)
            raise
        if counts:
            self.used(key.digest)
        return entry

    def put(self, entry: ChunkKV, *, evict: bool = True, data: bytes | None = None) -> None:
        """`data`: the entry's file where another tier had it; rows that a codec rounded are not
        rounded once more, and P stays exact."""
        key = entry.key
        if self.contains(key):
            return
        data = to_bytes(entry, self.codec) if data is None else data
        with self._lock:
            if key.digest in self._ledger.held:
                return
            self._sweep()
            self._reserve(len(data), key.namespace, evict)
            try:
                self._folder.write(key.digest, data)
            except OSError as error:
                raise TierUnavailable(f"cannot write {key.digest[:12]}: {error}") from error
            self._take_in(key, len(entry.token_ids), len(data), self._tick())
            if key.digest in self._lost_pins:
                self._lost_pins.discard(key.digest)
                self.pin(key.digest, pinned=True)

    def statistics(self, digest: str) -> dict[str, torch.Tensor]:
        """What an entry keeps beside its rows, unchecked; counts as no use. Empty where it is not
        there or does not open."""
        with self._lock:
            is_held = digest in self._ledger.held
        try:
            return self._folder.statistics(digest) if is_held else {}
        except (CorruptEntry, OSError):  # reading the entry itself will say so
            return {}

    def contains(self, key: EntryKey) -> bool:
        with self._lock:
            return key.digest in self._ledger.held

    def used(self, digest: str) -> None:
        """A faster tier served this entry: here it counts as used too."""
        with self._lock:
            if digest in self._ledger.held:
                now = self._tick()
                self._uses.add(digest, now)
                self._ledger.used(digest, now)

    def credit(self, digest: str, overhead: float) -> None:
        """What a use that `used` has counted was worth, once its fix overhead is known."""
        with self._lock:
            if digest in self._ledger.held:
                self._ledger.credit(digest, overhead)

    def is_pinned(self, digest: str) -> bool:
        with self._lock:
            held = self._ledger.held.get(digest)
            return held is not None and held.pinned

    def remove(self, digests: Sequence[str]) -> int:
        """Also files that another process wrote here. Raises TierUnavailable where one stays."""
        freed = 0
        gone: list[str] = []
        with self._lock:
            try:
                for digest in digests:
                    freed += self._folder.remove(digest)
                    gone.append(digest)
            except OSError as error:
                raise TierUnavailable(f"cannot remove {digest[:12]}: {error}") from error
            finally:
                self._forget(gone)
        return freed

    def pin(self, digest: str, pinned: bool) -> None:
        with self._lock:
            if digest in self._ledger.held:
                self._ledger.held[digest].pinned = pinned
                self._index.pin(digest, pinned)

    def digests_of(self, namespace: str, contents: Sequence[str]) -> list[str]:
        """Digests of a tenant's entries whose content id, or one they were computed behind, is
        among `contents`: rows behind a passage have seen it."""
        wanted = set(contents)

        def is_wanted(one: EntryKey | IndexedEntry) -> bool:
            return one.namespace == namespace and is_behind(one.content, one.preceding, wanted)

        found = [row.digest for row in self._index.rows() if is_wanted(row)]
        return found + self._set_aside(is_wanted)

    def digests_of_namespace(self, namespace: str) -> list[str]:
        found = [row.digest for row in self._index.rows() if row.namespace == namespace]
        return found + self._set_aside(lambda key: key.namespace == namespace)

    def entries(self) -> list[IndexedEntry]:
        """What is held, as of now."""
        rows = {row.digest: row for row in self._index.rows()}
        with self._lock:
            return [
                replace(
                    rows[digest],
                    num_bytes=held.num_bytes,
                    uses=held.uses,
                    last_used_at=held.last_used_at,
                    pinned=held.pinned,
                )
                for digest, held in self._ledger.held.items()
                if digest in rows
            ]

    def shrink(self, target_bytes: int) -> list[str]:
        """Remove what is least valuable and not pinned until at most `target_bytes` are left, or
        nothing more can go; returns the digests."""
        with self._lock:
            going = self._ledger.down_to(target_bytes)
            self._evict(going)
            return going

    def check(self, digest: str) -> str:
        """Read one file to the end and compare it with index and books: `ok`, `resized` (the books
        were wrong), `adopted` (nobody knew it), `damaged` (put aside) or `gone`. Raises
        TierUnavailable where it cannot be read."""
        with self._lock:
            known = self._ledger.held.get(digest)
            try:
                header = self._folder.header(digest)
                data = self._folder.read(digest)
                from_bytes(data, header.key)
                if header.key.digest != digest:
                    raise CorruptEntry(f"{digest[:12]}: the file holds another entry")
            except FileNotFoundError:
                self._forget([digest])
                return "gone"
            except CorruptEntry:
                self._put_aside(digest)
                return "damaged"
            except OSError as error:
                raise TierUnavailable(f"cannot read {digest[:12]}: {error}") from error
            if known is None:
                changed_at = self._folder.changed_at(digest)
                self._take_in(header.key, header.num_tokens, len(data), changed_at)
                return "adopted"
            if known.num_bytes == len(data):
                return "ok"
            self._ledger.resize(digest, len(data))
            self._record(header.key, header.num_tokens, len(data), known.last_used_at)
            return "resized"

    def known_digests(self) -> list[str]:
        """Of files there are, files the books name, and rows of the index."""
        rows = [row.digest for row in self._index.rows()]
        with self._lock:
            return sorted({*self._folder.digests(), *self._ledger.held, *rows})

    def flush(self) -> None:
        """Write uses to the index, which so far are only in memory. Raises what it raises."""
        self._uses.flush()

    def stats(self) -> TierStats:
        with self._lock:
            held = self._ledger.held
            pinned = sum(entry.pinned for entry in held.values())
            budget = self._ledger.budget_bytes
            return TierStats(self.name, self._ledger.num_bytes, budget, len(held), pinned)

    def bytes_by_namespace(self) -> dict[str, int]:
        with self._lock:
            return {name: self._ledger.bytes_of(name) for name in self._ledger.namespaces()}

    def _set_aside(self, is_wanted: Callable[[EntryKey], bool]) -> list[str]:
        """Damaged files that are wanted, and those of which nobody can tell."""
        return [digest for digest, key in self._folder.set_aside() if key is None or is_wanted(key)]

    def _reserve(self, num_bytes: int, namespace: str, evict: bool) -> None:
        victims = self._ledger.victims(num_bytes, namespace)
        if victims is None or (victims and not evict):
            raise TierFull(f"{num_bytes} bytes do not fit {self._limits()}")
        self._evict(victims)

    def _limits(self) -> str:
        text = f"the disk budget of {self._ledger.budget_bytes} bytes"
        if self._ledger.quota_bytes is not None:
            text += f", {self._ledger.quota_bytes} a tenant"
        return text

    def _evict(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._ledger.went(digest)
        self.remove(digests)
        self.evicted += len(digests)

    def _fit(self) -> None:
        """At start: budgets may be smaller than when the entries were written."""
        ledger, quota = self._ledger, self._rules.quota_bytes
        try:
            self._evict(ledger.down_to(ledger.budget_bytes))
            if quota is not None:
                for namespace in ledger.namespaces():
                    self._evict(ledger.down_to(quota, namespace))
        except TierUnavailable as error:
            logger.warning("the disk tier stays above its budget: %s", error)

    def _sweep(self) -> None:
        """Once a minute: remove what was not used for the time to live, and write down uses."""
        now = self._tick()
        if now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        try:
            self._expire(now)
            self.flush()
        except Exception as error:  # a full database, say: tried again in a minute
            logger.warning("the disk tier could not be swept: %s", error)

    def _expire(self, now: float) -> None:
        if self._rules.ttl_s is None:
            return
        oldest = now - self._rules.ttl_s
        held = self._ledger.held
        old = [d for d, f in held.items() if f.last_used_at < oldest and not f.pinned]
        self.remove(old)
        self.expired += len(old)

    def _tick(self) -> float:
        """The time, never going back: a clock put back must not reverse the order of use."""
        self._now = max(time.time(), self._now + 1e-6)
        return self._now

    def _take_in(self, key: EntryKey, num_tokens: int, num_bytes: int, now: float) -> None:
        seconds = self._rules.seconds_of(num_tokens)
        self._add(key.digest, Held(num_bytes, seconds, now, namespace=key.namespace))
        self._record(key, num_tokens, num_bytes, now)

    def _add(self, digest: str, held: Held) -> None:
        self._ledger.add(digest, held)
        self._now = max(self._now, held.last_used_at)

    def _record(self, key: EntryKey, num_tokens: int, num_bytes: int, now: float) -> None:
        try:
            self._index.record(
                digest=key.digest,
                namespace=key.namespace,
                identity=key.identity,
                content=key.content,
                context=key.context,
                preceding=key.preceding,
                num_tokens=num_tokens,
                num_bytes=num_bytes,
                now=now,
            )
        except Exception as error:  # not listed, a purge would not find it
            self._ledger.pop(key.digest)
            self._folder.remove(key.digest)
            raise TierUnavailable(f"cannot list {key.digest[:12]}: {error}") from error

    def _forget(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._ledger.pop(digest)
        self._uses.drop(digests)
        if not digests:
            return
        try:
            self._index.forget(list(digests))
        except Exception as error:  # a full database, say: the files decide, and a start compares
            logger.warning("the entry index still lists %d lost entries: %s", len(digests), error)

    def _put_aside(self, digest: str) -> None:
        if self.is_pinned(digest):
            self._lost_pins.add(digest)
        self._folder.put_aside(digest)
        self._forget([digest])

    def _recover(self) -> None:
        self._folder.clear_leftovers()
        rows = {row.digest: row for row in self._index.rows()}
        for digest in self._folder.digests():
            row = rows.pop(digest, None)
            if row is not None and row.namespace:
                self._add(digest, self._held(row))
            else:
                self._adopt(digest, row)
        if rows:
            self._index.forget(list(rows))

    def _held(self, row: IndexedEntry) -> Held:
        return Held(
            self._folder.size(row.digest),
            self._rules.seconds_of(row.num_tokens),
            row.last_used_at,
            row.pinned,
            row.uses,
            namespace=row.namespace,
            score=row.uses,
        )

    def _adopt(self, digest: str, row: IndexedEntry | None) -> None:
        """Take in a file that was renamed into place just before the process died, or one that the
        index lists without its namespace."""
        try:
            header = self._folder.header(digest)
        except CorruptEntry:
            self._put_aside(digest)
            return
        size, changed_at = self._folder.size(digest), self._folder.changed_at(digest)
        if row is None:
            self._take_in(header.key, header.num_tokens, size, changed_at)
        else:
            self._add(digest, self._held(replace(row, namespace=header.key.namespace)))
            self._record(header.key, header.num_tokens, size, row.last_used_at)
