"""Quotas: a tenant over its own gives up its own, least valuable first, also after a restart."""

from pathlib import Path

import pytest
import torch

from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.entry_file import to_bytes
from kvstore.errors import TierFull
from kvstore.eviction import CacheCraft, CacheCraftGdsf, Gdsf, Held, Lru
from kvstore.keys import content_id, entry_key
from kvstore.ledger import Ledger
from kvstore.memory_index import MemoryIndex
from kvstore.shared_tier import SharedLimits, SharedTier
from kvstore.types import ChunkKV
from tests.fakes.blobs import FakeBlobs

NOW = SharedLimits(listing_s=0.0)


def ledger_of(*sizes: tuple[str, int], budget: int = 100, quota: int | None = None) -> Ledger:
    """Entries `namespace/number`, the first the least recently used."""
    ledger = Ledger(Lru(), budget, quota)
    for number, (namespace, num_bytes) in enumerate(sizes):
        ledger.add(f"{namespace}{number}", Held(num_bytes, 1.0, number, namespace=namespace))
    return ledger


def test_the_least_valuable_goes_whoever_it_belongs_to() -> None:
    ledger = ledger_of(("a", 40), ("b", 40), ("a", 20))
    assert ledger.victims(10, "b") == ["a0"]
    assert ledger.victims(100, "b") == ["a0", "b1", "a2"]
    assert ledger.victims(101, "b") is None
    assert ledger_of(("a", 40)).victims(60, "a") == []


def test_a_tenant_over_its_quota_gives_up_its_own() -> None:
    ledger = ledger_of(("a", 30), ("b", 30), ("b", 20), budget=100, quota=50)
    assert ledger.victims(10, "b") == ["b1"]
    assert ledger.victims(30, "a") == ["a0"]
    assert ledger.victims(51, "c") is None
    ledger.held["b1"].pinned = ledger.held["b2"].pinned = True
    assert ledger.victims(10, "b") is None


def test_what_a_quota_frees_counts_towards_the_budget() -> None:
    ledger = ledger_of(("a", 10), ("b", 50), ("a", 40), budget=100, quota=50)
    assert ledger.victims(30, "b") == ["b1"]
    ledger = ledger_of(("a", 40), ("b", 20), ("b", 20), ("a", 20), budget=100, quota=60)
    assert ledger.victims(30, "b") == ["b1", "a0"]


def test_bytes_are_counted_by_tenant() -> None:
    ledger = ledger_of(("a", 10), ("b", 20))
    ledger.resize("a0", 15)
    ledger.add("b1", Held(25, 1.0, 9, namespace="b"))
    assert (ledger.num_bytes, ledger.bytes_of("a"), ledger.bytes_of("b")) == (40, 15, 25)
    ledger.pop("a0")
    ledger.pop("a0")
    assert ledger.namespaces() == ["b"]
    ledger.held["b1"].pinned = True
    assert ledger.down_to(0) == []


def test_cache_crafts_score_prefers_what_needed_little_repair() -> None:
    for rule in (CacheCraft(), CacheCraftGdsf()):
        cheap, dear = Held(10, 1.0, 0.0, score=20.0), Held(10, 1.0, 9.0, score=2.0, uses=5)
        assert rule.rank(cheap) > rule.rank(dear)
        rule.went(cheap)
    assert Gdsf().rank(Held(10, 1.0, 0.0, uses=5)) > Gdsf().rank(Held(10, 1.0, 0.0, uses=1))


def make_entry(namespace: str, seed: int, tokens: int = 20) -> ChunkKV:
    ids = tuple(range(seed, seed + tokens))
    key = entry_key(namespace, "identity", content_id(ids), ())
    rows = torch.zeros(2, 3, tokens, 8)
    return ChunkKV(key, ids, rows, rows + 1)


SIZE = max(len(to_bytes(make_entry("tenant-a", seed))) for seed in range(10)) + 8


def test_a_quota_on_disk_holds_on_real_sizes_and_over_restarts(tmp_path: Path) -> None:
    index, rules = MemoryIndex(), DiskRules(quota_bytes=2 * SIZE)
    tier = DiskTier(tmp_path, 5 * SIZE, index, rules)
    other = make_entry("tenant-b", 0)
    tier.put(other)
    mine = [make_entry("tenant-a", seed) for seed in range(3)]
    for entry in mine[:2]:
        tier.put(entry)
    with pytest.raises(TierFull, match="a tenant"):
        tier.put(mine[2], evict=False)
    tier.put(mine[2])
    assert [tier.contains(e.key) for e in [other, *mine]] == [True, False, True, True]
    assert tier.bytes_by_namespace()["tenant-a"] <= 2 * SIZE
    tier.pin(mine[1].key.digest, pinned=True)
    smaller = DiskRules(quota_bytes=SIZE)
    reopened = DiskTier(tmp_path, 5 * SIZE, index, smaller)
    assert [reopened.contains(e.key) for e in [other, *mine]] == [True, False, True, False]
    with pytest.raises(TierFull):
        reopened.put(mine[0])
    assert reopened.stats().pinned == 1


def test_rows_of_before_get_their_tenant_from_the_file(tmp_path: Path) -> None:
    index = MemoryIndex()
    entry = make_entry("tenant-a", 1)
    tier = DiskTier(tmp_path, 10**6, index)
    tier.put(entry)
    tier.pin(entry.key.digest, pinned=True)
    index.record(
        digest=entry.key.digest,
        namespace="",
        identity="identity",
        content=entry.key.content,
        context=entry.key.context,
        preceding="",
        num_tokens=20,
        num_bytes=1,
        now=5.0,
    )
    reopened = DiskTier(tmp_path, 10**6, index)
    assert reopened.digests_of_namespace("tenant-a") == [entry.key.digest]
    assert reopened.is_pinned(entry.key.digest)
    assert list(reopened.bytes_by_namespace()) == ["tenant-a"]


def test_a_smaller_budget_at_start_lets_the_least_valuable_go(tmp_path: Path) -> None:
    index = MemoryIndex()
    entries = [make_entry("tenant-a", seed) for seed in range(4)]
    tier = DiskTier(tmp_path, 9 * SIZE, index)
    for entry in entries:
        tier.put(entry)
    reopened = DiskTier(tmp_path, 2 * SIZE, index)
    assert [reopened.contains(e.key) for e in entries] == [False, False, True, True]
    assert reopened.stats().bytes <= 2 * SIZE


def test_a_quota_in_a_shared_tier(tmp_path: Path) -> None:
    limits = SharedLimits(listing_s=0.0, quota_bytes=2 * SIZE)
    tier = SharedTier(FakeBlobs(), 3 * SIZE, limits=limits)
    other = make_entry("tenant-b", 0)
    mine = [make_entry("tenant-a", seed) for seed in range(3)]
    for entry in [other, *mine[:2]]:
        tier.put(entry)
    with pytest.raises(TierFull):
        tier.put(mine[2], evict=False)
    tier.put(mine[2])
    assert [tier.contains(e.key) for e in [other, *mine]] == [True, False, True, True]
    assert set(tier.digests_of_namespace("tenant-a")) == {e.key.digest for e in mine[1:]}
    for entry in mine[1:]:
        tier.pin(entry.key.digest, pinned=True)
    with pytest.raises(TierFull):
        tier.put(mine[0])
    tier.close()
