"""Entries on a server that several stores share, by any service that keeps named bytes.

The same bytes as on disk. A server that fails, hangs or is away costs one call its time limit; then
the tier is a miss for a while, so that answers never wait for it twice in a row. Budgets hold
within what the stores have told the server: two of them may overshoot by one entry each.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from kvstore.codecs import RAW
from kvstore.entry_file import from_bytes, key_in, to_bytes
from kvstore.errors import CorruptEntry, TierFull, TierUnavailable
from kvstore.protocols import Codec
from kvstore.types import ChunkKV, EntryKey, TierStats

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

SECOND_BYTES = 10**7  # 550 tokens of the bundled model in fp32 are 25 MB
DELETE_BATCH = 500  # names in one call
WORKERS = 4  # calls at once; one that hangs holds a worker until its client gives up
LABEL = 16  # hex digits of a content id in a blob's name: a purge that hits too much is harmless
NAME_LENGTH = 900  # S3 takes 1,024 bytes, prefix included


@dataclass(frozen=True, slots=True)
class Blob:
    num_bytes: int
    last_used_at: float  # seconds since the epoch, by the server's or a store's clock


@dataclass(frozen=True, slots=True)
class Fetched:
    entry: ChunkKV
    data: bytes  # the file it was decoded from


class Blobs(Protocol):
    """Named bytes on a server. Any method may raise anything, and may hang."""

    name: str

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all."""
        ...

    def exists(self, name: str) -> bool: ...

    def delete(self, names: Sequence[str]) -> None: ...

    def listing(self) -> Iterator[Mapping[str, Blob]]:
        """Page by page; each step asks the server once. What changes meanwhile may be missing."""
        ...

    def pins(self) -> Iterator[Iterable[str]]:
        """Digests, likewise."""
        ...

    def pin(self, digest: str, pinned: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """limit_s: most that one call may take, and a second more for every SECOND_BYTES it moves; a
    page of a listing is a call, and so is a batch of deletions. cool_down_s: how long a failed
    server is left alone; listing_s: how old the list of entries may be that budgets are checked
    against; ttl_s: entries unused for longer are removed; quota_bytes: most that one namespace may
    take."""

    limit_s: float = 2.0
    cool_down_s: float = 30.0
    listing_s: float = 10.0
    ttl_s: float | None = None
    quota_bytes: int | None = None


DEFAULT_LIMITS = SharedLimits()


@dataclass(slots=True)
class _Known:
    """The list of entries as of `at` (monotonic)."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    pins: set[str] = field(default_factory=set)
    at: float = float("-inf")


class SharedTier:
    """Byte-capped; least recently used entries go first. While the server is away `get` finds
    nothing, and `put`, `remove` and `pin` raise TierUnavailable."""

    def __init__(
        self,
        blobs: Blobs,
        budget_bytes: int,
        codec: Codec = RAW,
        limits: SharedLimits = DEFAULT_LIMITS,
    ) -> None:
        self.name = blobs.name
        self.evicted = 0
        self.expired = 0
        self._blobs = blobs
        self._budget = budget_bytes
        self._codec = codec
        self._limits = limits
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"kv-{blobs.name}")
        self._known = _Known()
        self._touched: dict[str, float] = {}  # uses seen since the last look at `_known`
        self._away_until = float("-inf")
        self._lock = threading.RLock()  # held while writing; `get` does not wait for it

    @property
    def is_away(self) -> bool:
        """Whether it failed a moment ago, so that what `get` did not find may be there."""
        return time.monotonic() < self._away_until

    def get(self, key: EntryKey, *, by_layer: bool = False) -> ChunkKV | None:
        found = self.fetch(key, by_layer=by_layer)
        return found.entry if found is not None else None

    def fetch(self, key: EntryKey, *, by_layer: bool = False) -> "Fetched | None":
        """As `get`, with the bytes as they lie there."""
        name = blob_name(key)
        try:
            data = self._call(lambda: self._blobs.read(name), self._size_of(name))
        except TierUnavailable:
            return None
        if data is None:
            return None
        self._touched[name] = time.time()
        try:
            return Fetched(from_bytes(data, key, by_layer=by_layer), data)
        except CorruptEntry:
            logger.warning("KV entry %s in %s is damaged: removed", key.digest[:12], self.name)
            self._drop([name])
            raise

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:
        name = blob_name(entry.key)
        if len(name) > NAME_LENGTH:
            raise TierFull(f"{self.name}: the entry follows too many others to be named")
        if self.contains(entry.key):
            return
        data = to_bytes(entry, self._codec)
        with self._lock:
            self._expire()
            self._reserve(len(data), entry.key.namespace, evict)
            self._call(lambda: self._blobs.write(name, data), len(data))
            self._known.blobs[name] = Blob(len(data), time.time())

    def contains(self, key: EntryKey) -> bool:
        name = blob_name(key)
        try:
            return self._call(lambda: self._blobs.exists(name))
        except TierUnavailable:
            return False

    def remove(self, digests: Sequence[str]) -> int:
        wanted = set(digests)
        with self._lock:
            known = self._list()
            gone = [name for name in known.blobs if _digest_of(name) in wanted]
            freed = sum(known.blobs[name].num_bytes for name in gone)
            self._delete(gone)
            for digest in wanted & known.pins:
                self.pin(digest, pinned=False)
            return freed

    def digests_of(self, namespace: str, contents: Sequence[str]) -> list[str]:
        """Digests of a tenant's entries whose content id, or one they were computed behind, is
        among `contents`. Raises TierUnavailable."""
        wanted, own = {content[:LABEL] for content in contents}, namespace[:LABEL]
        with self._lock:
            names = [name for name in self._list().blobs if _label_of(name) == own]
        return [_digest_of(n) for n in names if not wanted.isdisjoint(n.split(".")[2:])]

    def digests_of_namespace(self, namespace: str) -> list[str]:
        """Raises TierUnavailable."""
        with self._lock:
            names = list(self._list().blobs)
        return [_digest_of(name) for name in names if _label_of(name) == namespace[:LABEL]]

    def names(self) -> list[str]:
        """What `check` takes. Raises TierUnavailable."""
        with self._lock:
            return sorted(self._list().blobs)

    def check(self, name: str) -> str:
        """Read one entry to the end: `ok`, `damaged` (removed) or `gone`.

        Raises TierUnavailable."""
        data = self._call(lambda: self._blobs.read(name), self._size_of(name))
        if data is None:
            return "gone"
        try:
            key = key_in(data)
            from_bytes(data, key)
            if blob_name(key) == name:
                return "ok"
        except CorruptEntry as error:
            logger.warning("%s: %s", self.name, error)
        self._delete([name])
        return "damaged"

    def pin(self, digest: str, pinned: bool) -> None:
        with self._lock:
            self._call(lambda: self._blobs.pin(digest, pinned))
            (self._known.pins.add if pinned else self._known.pins.discard)(digest)

    def stats(self) -> TierStats:
        """As of the last list of entries while the server is away."""
        with self._lock:
            try:
                known = self._list(self._limits.listing_s)
            except TierUnavailable:
                known = self._known
            held = sum(blob.num_bytes for blob in known.blobs.values())
            pinned = sum(_digest_of(name) in known.pins for name in known.blobs)
            return TierStats(self.name, held, self._budget, len(known.blobs), pinned)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _reserve(self, num_bytes: int, namespace: str, evict: bool) -> None:
        """A namespace over its quota gives up its own entries; then the least recently used go."""
        known = self._list(self._limits.listing_s)
        label, quota = namespace[:LABEL], self._limits.quota_bytes
        own = {name: blob for name, blob in known.blobs.items() if _label_of(name) == label}
        going: list[str] = []
        if quota is not None:
            going = self._oldest(own, _total(own) + num_bytes - quota)
        rest = {name: blob for name, blob in known.blobs.items() if name not in going}
        going += self._oldest(rest, _total(rest) + num_bytes - self._budget)
        if going and not evict:
            raise TierFull(f"{num_bytes} bytes do not fit {self.name} without eviction")
        self._delete(going)
        self.evicted += len(going)

    def _oldest(self, blobs: dict[str, Blob], num_bytes: int) -> list[str]:
        """Least recently used entries that are not pinned, `num_bytes` of them. Raises TierFull."""
        going: list[str] = []
        for name in sorted(blobs, key=lambda n: blobs[n].last_used_at):
            if num_bytes <= 0:
                break
            if _digest_of(name) not in self._known.pins:
                going.append(name)
                num_bytes -= blobs[name].num_bytes
        if num_bytes > 0:
            raise TierFull(f"{num_bytes} bytes too many for {self.name}")
        return going

    def _expire(self) -> None:
        """Where a server does not record reads, age counts from the writing and from uses here."""
        if self._limits.ttl_s is None:
            return
        known = self._list(self._limits.listing_s)
        oldest = time.time() - self._limits.ttl_s
        old = [
            name
            for name, blob in known.blobs.items()
            if blob.last_used_at < oldest and _digest_of(name) not in known.pins
        ]
        self._delete(old)
        self.expired += len(old)

    def _list(self, max_age: float = 0.0) -> _Known:
        """The entries on the server; uses seen here that the server does not record are kept."""
        uses = {name: blob.last_used_at for name, blob in self._known.blobs.items()}
        if time.monotonic() - self._known.at > max_age:
            found: dict[str, Blob] = {}
            for page in self._pages(self._blobs.listing):
                found.update(page)
            pins = {digest for page in self._pages(self._blobs.pins) for digest in page}
            self._known = _Known(found, pins, time.monotonic())
        touched, self._touched = self._touched, {}
        blobs = self._known.blobs
        for name, used_at in (uses | touched).items():
            if name in blobs and used_at > blobs[name].last_used_at:
                blobs[name] = replace(blobs[name], last_used_at=used_at)
        return self._known

    def _drop(self, names: Sequence[str]) -> None:
        try:
            self._delete(names)
        except TierUnavailable as error:
            logger.warning("%s keeps %d damaged entries: %s", self.name, len(names), error)

    def _delete(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), DELETE_BATCH):
            batch = names[start : start + DELETE_BATCH]
            self._call(lambda batch=batch: self._blobs.delete(batch))  # type: ignore[misc]
            with self._lock:
                for name in batch:
                    self._known.blobs.pop(name, None)

    def _pages(self, begin: Callable[[], Iterator[Result]]) -> Iterator[Result]:
        """What the server lists, each page within the time limit."""
        pages = self._call(begin)
        while (page := self._call(lambda: next(pages, None))) is not None:
            yield page

    def _size_of(self, name: str) -> int:
        """Bytes of an entry as far as the last listing knows."""
        blob = self._known.blobs.get(name)
        return blob.num_bytes if blob is not None else 0

    def _call(self, run: Callable[[], Result], num_bytes: int = 0) -> Result:
        """`run`, which moves `num_bytes`, within the time limit. Raises TierUnavailable, at once
        during a cool-down."""
        if self.is_away:
            raise TierUnavailable(f"{self.name} failed a moment ago and is left alone")
        future = self._pool.submit(run)
        try:
            return future.result(self._limits.limit_s + num_bytes / SECOND_BYTES)
        except Exception as error:  # whatever a client library raises, its tier is away
            future.cancel()
            self._away_until = time.monotonic() + self._limits.cool_down_s
            seconds = self._limits.cool_down_s
            kind = type(error).__name__
            logger.warning("KV tier %s: %s; left alone for %g s", self.name, kind, seconds)
            raise TierUnavailable(f"{self.name}: {kind}") from error


def blob_name(key: EntryKey) -> str:
    """The digest, whose it is, then what purging looks for: the content and what it was computed
    behind."""
    behind = [content for content in key.preceding.split(",") if content]
    labels = (key.namespace, key.content, *behind)
    return ".".join([key.digest, *(label[:LABEL] for label in labels)])


def _digest_of(name: str) -> str:
    return name.split(".", 1)[0]


def _label_of(name: str) -> str:
    """The start of the namespace."""
    return name.partition(".")[2].partition(".")[0]


def _total(blobs: dict[str, Blob]) -> int:
    return sum(blob.num_bytes for blob in blobs.values())
