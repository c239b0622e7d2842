"""Entries as files under one folder, listed in the entry index; survives restarts and kill -9.

The files are the truth about bytes, the index about use and pins: at start both are compared,
temporary files are removed, and a file the index does not know is taken in again or put aside.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from kvstore.codecs import RAW
from kvstore.entry_file import KEY_FIELDS, TEMP_SUFFIX, from_bytes, to_bytes, write_file
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.eviction import Held, new_eviction
from kvstore.protocols import Codec, EntryIndex, IndexedEntry
from kvstore.quarantine import Quarantine
from kvstore.types import ChunkKV, EntryKey, TierStats

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
SWEEP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class DiskRules:
    """How entries are written and which go. `seconds_of` tokens: what computing them costs;
    ttl_s: entries unused for longer are removed, None for never."""

    codec: Codec = RAW
    eviction: str = "lru"
    seconds_of: Callable[[int], float] = float
    ttl_s: float | None = None


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
        self._eviction = new_eviction(rules.eviction)
        self._directory = directory
        self._quarantine = Quarantine(directory / "quarantine")
        self._budget = budget_bytes
        self._index = index
        self._files: dict[str, Held] = {}
        self._num_bytes = 0  # sum over _files
        self._touched: dict[str, float] = {}
        self._now = 0.0
        self._swept_at = 0.0
        self._lock = threading.RLock()
        self.evicted = 0
        self.expired = 0
        self._recover()
        self._sweep()

    def get(self, key: EntryKey) -> ChunkKV | None:
        with self._lock:
            known = self._files.get(key.digest)
            if known is None:
                return None
            try:
                entry = from_bytes(self._path(key.digest).read_bytes(), key)
            except FileNotFoundError:
                self._forget([key.digest])
                return None
            except OSError as error:
                raise TierUnavailable(f"cannot read {key.digest[:12]}: {error}") from error
            except CorruptEntry:
                self._put_aside(self._path(key.digest))
                raise
            known.uses += 1
            known.last_used_at = self._touched[key.digest] = self._tick()
            known.rank = self._eviction.rank(known)
            return entry

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        key = entry.key
        if self.contains(key):
            return
        data = to_bytes(entry, self.codec)
        with self._lock:
            if key.digest in self._files:
                return
            self._sweep()
            self._reserve(len(data), evict)
            path = self._path(key.digest)
            try:
                path.parent.mkdir(exist_ok=True)
                write_file(path, data)
            except OSError as error:
                raise TierUnavailable(f"cannot write {path.name}: {error}") from error
            now = self._tick()
            num_tokens = len(entry.token_ids)
            self._add(key.digest, Held(len(data), self._rules.seconds_of(num_tokens), now))
            self._record(key, num_tokens, len(data), now)

    def contains(self, key: EntryKey) -> bool:
        with self._lock:
            return key.digest in self._files

    def remove(self, digests: Sequence[str]) -> int:
        with self._lock:
            known = [d for d in digests if d in self._files]
            freed = sum(self._files[d].num_bytes for d in known)
            for digest in known:
                self._path(digest).unlink(missing_ok=True)
            self._forget(known)
            return freed

    def pin(self, digest: str, pinned: bool) -> None:
        with self._lock:
            if digest in self._files:
                self._files[digest].pinned = pinned
                self._index.pin(digest, pinned)

    def digests_of(self, contents: Sequence[str]) -> list[str]:
        """Digests of all entries whose content id, or one they were computed behind, is among
        `contents`: rows behind a passage have seen it."""
        wanted = set(contents)
        return [
            row.digest
            for row in self._index.rows()
            if row.content in wanted or not wanted.isdisjoint(row.preceding.split(","))
        ]

    def indexed(self) -> Sequence[IndexedEntry]:
        """What the index lists, of whatever model."""
        return self._index.rows()

    def flush(self) -> None:
        """Write the times of last use to the index; they are only kept in memory until then."""
        with self._lock:
            touched, self._touched = self._touched, {}
        if touched:
            self._index.touch(list(touched), max(touched.values()))

    def stats(self) -> TierStats:
        with self._lock:
            pinned = sum(f.pinned for f in self._files.values())
            return TierStats(self.name, self._num_bytes, self._budget, len(self._files), pinned)

    def _reserve(self, num_bytes: int, evict: bool) -> None:
        if self._num_bytes + num_bytes <= self._budget:
            return
        if evict and num_bytes <= self._budget:
            by_rank = sorted(self._files, key=lambda d: self._files[d].rank)
            for digest in [d for d in by_rank if not self._files[d].pinned]:
                self._eviction.went(self._files[digest])
                self.remove([digest])
                self.evicted += 1
                if self._num_bytes + num_bytes <= self._budget:
                    return
        raise TierFull(f"{num_bytes} bytes do not fit the disk budget of {self._budget} bytes")

    def _sweep(self) -> None:
        """Remove what was not used for the time to live; looked at once a minute."""
        now = self._tick()
        if self._rules.ttl_s is None or now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        oldest = now - self._rules.ttl_s
        old = [d for d, f in self._files.items() if f.last_used_at < oldest and not f.pinned]
        self.remove(old)
        self.expired += len(old)

    def _tick(self) -> float:
        """The time, never going back: a clock put back must not reverse the order of use."""
        self._now = max(time.time(), self._now + 1e-6)
        return self._now

    def _add(self, digest: str, file: Held) -> None:
        file.rank = self._eviction.rank(file)
        self._files[digest] = file
        self._num_bytes += file.num_bytes
        self._now = max(self._now, file.last_used_at)

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / (digest + SUFFIX)

    def _record(self, key: EntryKey, num_tokens: int, num_bytes: int, now: float) -> None:
        self._index.record(
            digest=key.digest,
            identity=key.identity,
            content=key.content,
            context=key.context,
            preceding=key.preceding,
            num_tokens=num_tokens,
            num_bytes=num_bytes,
            now=now,
        )

    def _forget(self, digests: Sequence[str]) -> None:
        for digest in digests:
            gone = self._files.pop(digest, None)
            self._num_bytes -= gone.num_bytes if gone else 0
            self._touched.pop(digest, None)
        try:
            self._index.forget(list(digests))
        except Exception as error:  # a full database, say: the files decide, and a start compares
            logger.warning("the entry index still lists %d lost entries: %s", len(digests), error)

    def _put_aside(self, path: Path) -> None:
        self._quarantine.take(path)
        self._forget([path.name.removesuffix(SUFFIX)])

    def _recover(self) -> None:
        rows = {row.digest: row for row in self._index.rows()}
        for path in self._entry_paths():
            row = rows.pop(path.name.removesuffix(SUFFIX), None)
            if row is not None:
                self._add(row.digest, self._held(path, row))
            else:
                self._adopt(path)
        if rows:
            self._index.forget(list(rows))

    def _held(self, path: Path, row: IndexedEntry) -> Held:
        seconds = self._rules.seconds_of(row.num_tokens)
        return Held(path.stat().st_size, seconds, row.last_used_at, row.pinned, row.uses)

    def _entry_paths(self) -> Iterator[Path]:
        for folder in self._directory.iterdir():
            if folder == self._quarantine.folder or not folder.is_dir():
                continue
            for leftover in folder.glob("*" + TEMP_SUFFIX):
                leftover.unlink()
            yield from folder.glob("*" + SUFFIX)

    def _adopt(self, path: Path) -> None:
        """Take in a file that was renamed into place just before the process died."""
        digest = path.name.removesuffix(SUFFIX)
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                num_tokens = file.get_slice("token_ids").get_shape()[0]
            key = EntryKey(**{name: metadata[name] for name in KEY_FIELDS})
        except (SafetensorError, OSError, KeyError):
            self._put_aside(path)
            return
        stat = path.stat()
        self._add(digest, Held(stat.st_size, self._rules.seconds_of(num_tokens), stat.st_mtime))
        self._record(key, num_tokens, stat.st_size, stat.st_mtime)
