"""What every tier promises (kvstore.protocols.Tier), over the real disk, Valkey and S3."""

import pytest
import torch

from kvstore.entry_file import to_bytes
from kvstore.errors import CorruptEntry, NotFinite, TierFull
from kvstore.keys import content_id, entry_key
from kvstore.types import ChunkKV
from tests.integration.kvstore_tiers.conftest import Place

CONTEXT = (content_id((9,)),)
PLENTY = 10**7
SHARED = {"disk", "valkey", "s3"}  # what another store opened on the same place finds


def make_entry(seed: int, tokens: int = 20, dtype: torch.dtype = torch.float32) -> ChunkKV:
    generator = torch.Generator().manual_seed(seed)
    ids = tuple(range(seed, seed + tokens))
    key = entry_key("namespace", "identity", content_id(ids), CONTEXT)
    keys, values = (torch.randn(2, 3, tokens, 8, generator=generator).to(dtype) for _ in range(2))
    return ChunkKV(key, ids, keys, values)


def size_of(place: Place, entry: ChunkKV) -> int:
    return entry.num_bytes if place.kind in {"ram", "device"} else len(to_bytes(entry))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_what_is_put_is_got_bit_for_bit(place: Place, dtype: torch.dtype) -> None:
    tier, entry = place.open(PLENTY), make_entry(1, dtype=dtype)
    if place.kind == "null":
        with pytest.raises(TierFull):
            tier.put(entry)
        assert tier.get(entry.key) is None
        return
    tier.put(entry)
    tier.put(entry)
    found = tier.get(entry.key)
    assert found is not None
    assert found.key == entry.key
    assert found.token_ids == entry.token_ids
    assert torch.equal(found.keys.cpu(), entry.keys)
    assert torch.equal(found.values.cpu(), entry.values)
    assert tier.contains(entry.key)
    stats = tier.stats()
    assert (stats.name, stats.entries, stats.pinned) == (place.kind, 1, 0)
    assert stats.bytes == size_of(place, entry)


def test_a_miss_is_none(place: Place) -> None:
    tier, entry = place.open(PLENTY), make_entry(1)
    assert tier.get(entry.key) is None
    assert not tier.contains(entry.key)
    assert tier.remove([entry.key.digest]) == 0
    assert tier.stats().entries == tier.stats().bytes == 0


def test_removed_entries_are_gone_and_counted(place: Place) -> None:
    if place.kind == "null":
        pytest.skip("keeps nothing")
    tier = place.open(PLENTY)
    entries = [make_entry(seed) for seed in range(3)]
    for entry in entries:
        tier.put(entry)
    tier.pin(entries[0].key.digest, pinned=True)
    gone = entries[:2]
    assert tier.remove([e.key.digest for e in gone]) == sum(size_of(place, e) for e in gone)
    assert [tier.contains(e.key) for e in entries] == [False, False, True]
    assert [tier.get(e.key) is None for e in entries] == [True, True, False]
    assert (tier.stats().entries, tier.stats().pinned) == (1, 0)


def test_the_budget_holds_and_the_least_recently_used_goes_first(place: Place) -> None:
    if place.kind == "null":
        pytest.skip("keeps nothing")
    entries = [make_entry(seed) for seed in range(4)]
    tier = place.open(max(size_of(place, e) for e in entries) * 3)
    for entry in entries[:3]:
        tier.put(entry)
    tier.get(entries[0].key)
    with pytest.raises(TierFull):
        tier.put(entries[3], evict=False)
    tier.put(entries[3])
    assert tier.contains(entries[0].key)
    assert tier.contains(entries[3].key)
    assert tier.stats().entries == 3
    assert tier.stats().bytes <= tier.stats().budget_bytes
    with pytest.raises(TierFull):
        tier.put(make_entry(50, tokens=200))
    assert tier.stats().entries == 3


def test_pinned_entries_stay_until_unpinned(place: Place) -> None:
    if place.kind == "null":
        pytest.skip("keeps nothing")
    entries = [make_entry(seed) for seed in range(4)]
    tier = place.open(max(size_of(place, e) for e in entries) * 2)
    tier.put(entries[0])
    tier.pin(entries[0].key.digest, pinned=True)
    for entry in entries[1:3]:
        tier.put(entry)
    assert [tier.contains(e.key) for e in entries] == [True, False, True, False]
    assert tier.stats().pinned == 1
    tier.pin(entries[0].key.digest, pinned=False)
    assert tier.stats().pinned == 0
    for entry in entries[1:]:
        tier.put(entry)
    assert not tier.contains(entries[0].key)


def test_a_damaged_entry_is_reported_once_and_gone(place: Place) -> None:
    if place.kind not in SHARED:
        pytest.skip("nothing outside the process can damage it")
    tier, entry = place.open(PLENTY), make_entry(1)
    tier.put(entry)
    place.damage()
    with pytest.raises(CorruptEntry):
        tier.get(entry.key)
    assert tier.get(entry.key) is None
    assert tier.stats().entries == 0
    tier.put(entry)
    assert tier.get(entry.key) is not None


def test_nan_is_refused(place: Place) -> None:
    if place.kind not in SHARED:
        pytest.skip("writes no files")
    tier, entry = place.open(PLENTY), make_entry(1)
    entry.keys[0, 0, 0, 0] = float("nan")
    with pytest.raises(NotFinite):
        tier.put(entry)
    assert not tier.contains(entry.key)


def test_another_key_with_the_same_content_is_a_miss(place: Place) -> None:
    if place.kind == "null":
        pytest.skip("keeps nothing")
    tier, entry = place.open(PLENTY), make_entry(1)
    tier.put(entry)
    for namespace, identity, context in (
        ("other", "identity", CONTEXT),
        ("namespace", "other", CONTEXT),
        ("namespace", "identity", ()),
    ):
        assert tier.get(entry_key(namespace, identity, entry.key.content, context)) is None


def test_what_one_store_puts_another_finds(place: Place) -> None:
    if place.kind not in SHARED:
        pytest.skip("of one process")
    first = place.open(PLENTY)
    entries = [make_entry(seed) for seed in range(3)]
    for entry in entries:
        first.put(entry)
    first.pin(entries[0].key.digest, pinned=True)
    second = place.open(PLENTY)
    assert second.stats() == first.stats()
    assert second.get(entries[1].key) is not None
    second.remove([entries[1].key.digest])
    assert first.get(entries[1].key) is None
    assert first.stats().entries == (2 if place.kind != "disk" else first.stats().entries)
    small = place.open(max(size_of(place, e) for e in entries) * 2)
    small.put(make_entry(7))
    assert small.contains(entries[0].key)
    assert not small.contains(entries[2].key)
