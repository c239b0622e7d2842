"""Make every tier forget, and pin in every tier. Knows tiers and digests, not why.

A purge reaches what only one tier holds: RAM may keep what the disk evicted, a server what another
store wrote there.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from kvstore.disk_tier import DiskTier
from kvstore.errors import TierUnavailable
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedTier

logger = logging.getLogger(__name__)
AnyTier = RamTier | DiskTier | SharedTier


@dataclass(frozen=True, slots=True)
class Tiers:
    """Fastest first; None where there is no such tier."""

    device: RamTier | None
    ram: RamTier
    disk: DiskTier
    shared: SharedTier | None

    def present(self) -> list[AnyTier]:
        found: list[AnyTier | None] = [self.device, self.ram, self.disk, self.shared]
        return [tier for tier in found if tier is not None]


@dataclass(frozen=True, slots=True)
class TierPurge:
    """What one tier gave up; `failed` says why it could not be asked."""

    tier: str
    entries: int = 0
    num_bytes: int = 0
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed. `num_bytes` is what lay on disk and on a server, not the copies in
    memory; `complete` is false where a tier could not be asked."""

    entries: int
    num_bytes: int
    complete: bool = True
    tiers: tuple[TierPurge, ...] = ()


def purge_contents(tiers: Tiers, namespace: str, contents: Sequence[str]) -> Purged:
    """A tenant's entries of these content ids, and those computed behind one of them, whichever
    model they belong to. Another tenant's entries of the same content are its own."""
    return _purge(tiers, lambda tier: tier.digests_of(namespace, contents))


def purge_namespace(tiers: Tiers, namespace: str) -> Purged:
    """Every entry of one tenant, whichever model it belongs to."""
    return _purge(tiers, lambda tier: tier.digests_of_namespace(namespace))


def set_pinned(tiers: Tiers, digests: Sequence[str], pinned: bool) -> None:
    """A shared tier that is away is left out, with a line in the log."""
    for tier in tiers.present():
        try:
            for digest in digests:
                tier.pin(digest, pinned)
        except TierUnavailable as error:
            logger.warning("pinned here only: %s", error)


def _purge(tiers: Tiers, find: Callable[[AnyTier], list[str]]) -> Purged:
    digests: set[str] = set()
    reports: list[TierPurge] = []
    for tier in reversed(tiers.present()):  # slowest first, so that nothing is promoted in between
        gone, report = _purge_tier(tier, partial(find, tier))
        digests |= gone
        reports.append(report)
    durable = {tier.name for tier in (tiers.disk, tiers.shared) if tier is not None}
    return Purged(
        entries=len(digests),
        num_bytes=sum(r.num_bytes for r in reports if r.tier in durable),
        complete=all(r.failed is None for r in reports),
        tiers=tuple(reversed(reports)),
    )


def _purge_tier(tier: AnyTier, find: Callable[[], list[str]]) -> tuple[set[str], TierPurge]:
    found: list[str] = []
    try:
        found = find()
        num_bytes = tier.remove(found)
    except TierUnavailable as error:
        logger.warning("not purged from %s: %s", tier.name, error)
        return set(), TierPurge(tier.name, failed=str(error))
    return set(found), TierPurge(tier.name, len(set(found)), num_bytes)
