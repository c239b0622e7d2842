"""What an operator asks of a store: what is there and why, pin, evict, verify.

Works on content ids of one tenant; every call is safe beside lookups in another thread.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kvstore.encodings import ENCODINGS, find_encoding
from kvstore.errors import TierUnavailable
from kvstore.frame import Frame
from kvstore.keys import content_id
from kvstore.protocols import IndexedEntry
from kvstore.purging import set_pinned
from kvstore.store import KVStore
from kvstore.types import Encoding, Segment

NAMES = ("head", "primed", *ENCODINGS)  # a chunk without neighbours is primed and mean at once
DISK, SHARED = "disk/", "shared/"  # what places of entries begin with; in this order
WORDS = {"mean", "medoid", "behind"}  # between the contexts of a combined entry


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry as an operator sees it. `encoding` is None behind an unknown context;
    `behind` names what it stood behind: prefix, primer (neutral), neighbour or other."""

    digest: str
    encoding: Encoding | None
    is_current: bool  # of the model that is loaded; others are kept until the space is needed
    behind: tuple[str, ...]
    num_tokens: int
    num_bytes: int
    tiers: tuple[str, ...]
    uses: int
    last_used_at: float
    pinned: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What disk holds of one content."""

    entries: int = 0
    num_bytes: int = 0
    pinned: int = 0


@dataclass(frozen=True, slots=True)
class Evicted:
    entries: int
    num_bytes: int
    kept_pinned: int  # asked for, but pinned


@dataclass(slots=True)
class Verified:
    """Entries by outcome, tier by tier; grows while `StoreUpkeep.verify` runs."""

    outcomes: dict[str, Counter[str]]


class StoreUpkeep:
    """`frame` tells encodings apart; None for a model without chunk reuse."""

    def __init__(self, store: KVStore, frame: Frame | None) -> None:
        self._store = store
        self._frame = frame

    def explain(self, chunk: Segment) -> list[EntryView]:
        """Every entry of this chunk on disk, with the faster tiers that hold it too; the current
        model's first."""
        content = content_id(chunk.token_ids)
        rows = [row for row in self._rows() if row.content == content]
        views = [self._view(row, chunk) for row in rows]
        return sorted(views, key=lambda view: (not view.is_current, view.encoding or "z"))

    def kept(self, contents: Sequence[str]) -> dict[str, Kept]:
        """By content id: what disk holds for any model."""
        found = dict.fromkeys(contents, Kept())
        for row in self._rows():
            if (so_far := found.get(row.content)) is not None:
                found[row.content] = Kept(
                    so_far.entries + 1,
                    so_far.num_bytes + row.num_bytes,
                    so_far.pinned + int(row.pinned),
                )
        return found

    def pin(self, contents: Sequence[str], pinned: bool) -> int:
        """Pin or unpin every entry of these contents; returns how many there are."""
        wanted = set(contents)
        rows = [row for row in self._rows() if row.content in wanted]
        set_pinned(self._store.tiers, [row.digest for row in rows], pinned)
        return len(rows)

    def evict(self, contents: Sequence[str]) -> Evicted:
        """Remove what is not pinned of these contents from disk and memory. A shared tier keeps its
        copies: they are others' too. Raises TierUnavailable."""
        wanted = set(contents)
        rows = [row for row in self._rows() if row.content in wanted]
        going = [row.digest for row in rows if not row.pinned]
        return Evicted(len(going), self._remove(going), len(rows) - len(going))

    def shrink(self, target_bytes: int) -> Evicted:
        """Remove the least valuable entries from disk, whoever they belong to, until at most
        `target_bytes` are left. Raises TierUnavailable."""
        tiers = self._store.tiers
        before = tiers.disk.stats()
        gone = tiers.disk.shrink(target_bytes)
        self._remove(gone)
        freed = before.bytes - tiers.disk.stats().bytes
        return Evicted(len(gone), freed, before.pinned if freed < before.bytes else 0)

    def num_to_verify(self) -> int:
        return len(self._disk_digests()) + len(self._shared_names())

    def verify(self, report: Verified, after: str = "") -> Iterator[str]:
        """Read every entry of disk and shared tier to the end, an entry a step; what is damaged is
        put aside, what the index did not know is taken in, what is gone is forgotten. Gives the
        place of each; `after` one of them it goes on there."""
        tiers = self._store.tiers
        memory = [tier for tier in (tiers.device, tiers.ram) if tier is not None]
        for digest in self._disk_digests():
            if (place := f"{DISK}{digest}") <= after:
                continue
            outcome = self._check_disk(digest)
            if outcome in {"damaged", "gone"}:
                for tier in memory:
                    tier.remove([digest])
            report.outcomes.setdefault("disk", Counter())[outcome] += 1
            yield place
        for name in self._shared_names():
            if (place := f"{SHARED}{name}") <= after:
                continue
            outcome = self._check_shared(name)
            report.outcomes.setdefault(self._shared_tier(), Counter())[outcome] += 1
            yield place

    def _check_disk(self, digest: str) -> str:
        try:
            return self._store.tiers.disk.check(digest)
        except TierUnavailable:
            return "unreadable"

    def _check_shared(self, name: str) -> str:
        shared = self._store.tiers.shared
        try:
            return "gone" if shared is None else shared.check(name)
        except TierUnavailable:
            return "unreadable"

    def _shared_tier(self) -> str:
        shared = self._store.tiers.shared
        return "" if shared is None else shared.name

    def _disk_digests(self) -> list[str]:
        return self._store.tiers.disk.known_digests()

    def _shared_names(self) -> list[str]:
        shared = self._store.tiers.shared
        try:
            return [] if shared is None else shared.names()
        except TierUnavailable:
            return []

    def _rows(self) -> list[IndexedEntry]:
        namespace = self._store.namespace
        return [row for row in self._store.tiers.disk.entries() if row.namespace == namespace]

    def _remove(self, digests: Sequence[str]) -> int:
        tiers = self._store.tiers
        freed = tiers.disk.remove(digests)
        for tier in (tiers.ram, tiers.device):
            if tier is not None:
                tier.remove(digests)
        return freed

    def _view(self, row: IndexedEntry, chunk: Segment) -> EntryView:
        return EntryView(
            digest=row.digest,
            encoding=self._encoding_of(row, chunk),
            is_current=row.identity == self._store.identity,
            behind=tuple(self._name(part, chunk) for part in row.preceding.split(",") if part),
            num_tokens=row.num_tokens,
            num_bytes=row.num_bytes,
            tiers=self._tiers_of(row.digest),
            uses=row.uses,
            last_used_at=row.last_used_at,
            pinned=row.pinned,
        )

    def _tiers_of(self, digest: str) -> tuple[str, ...]:
        """Fast tiers and disk; asking a server about each entry would take too long."""
        tiers = self._store.tiers
        memory = [tier for tier in (tiers.device, tiers.ram) if tier is not None]
        found = [t.name for t in memory if any(key.digest == digest for key in t.held_keys())]
        return (*found, tiers.disk.name)

    def _encoding_of(self, row: IndexedEntry, chunk: Segment) -> Encoding | None:
        for name in NAMES if self._frame is not None else ():
            rule = find_encoding(name)
            if self._frame and ",".join(rule.key_context(self._frame, chunk)) == row.preceding:
                return rule.name
        is_variant = self._frame and row.preceding.startswith(content_id(self._frame.prefix))
        return "variant" if is_variant else None

    def _name(self, content: str, chunk: Segment) -> str:
        if self._frame is None:
            return "other"
        if content in WORDS:
            return content
        if content == content_id(self._frame.prefix):
            return "prefix"
        if content in {content_id(ids) for ids in self._frame.primers}:
            return "primer"
        return "neighbour" if content in {content_id(ids) for ids in chunk.primers} else "other"
