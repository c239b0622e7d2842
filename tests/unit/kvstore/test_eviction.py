"""What goes first: rules replayed on a trace, and on the disk tier with its clock and restarts."""

import random
import time
from pathlib import Path

import pytest
import torch

import kvstore.disk_tier
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.errors import InvalidReuse
from kvstore.eviction import EVICTIONS, Gdsf, Held, Lru, new_eviction
from kvstore.keys import content_id, entry_key
from kvstore.memory_index import MemoryIndex
from kvstore.replay import Use, replay
from kvstore.types import ChunkKV

BYTES_A_TOKEN = 23_040  # SmolLM2 in bf16
DAY = 86_400.0


def zipf_trace(seed: int, length: int, *, scan_every: int = 0) -> list[Use]:
    """Uses of 1,000 passages of 60 to 400 tokens, popularity 1/rank, with single uses of others
    in between, as when a corpus is gone through once."""
    draw = random.Random(seed)
    tokens = [draw.randint(60, 400) for _ in range(1000)]
    weights = [1 / (rank + 1) for rank in range(1000)]
    trace = []
    for step in range(length):
        if scan_every and step % scan_every == 0:
            trace.append(use_of(f"scan{step}", draw.randint(60, 400)))
            continue
        (number,) = draw.choices(range(1000), weights)
        trace.append(use_of(str(number), tokens[number]))
    return trace


def use_of(name: str, tokens: int) -> Use:
    """Costs of a prefill: a line and a square, as measured for the bundled model."""
    return Use(name, tokens, tokens * BYTES_A_TOKEN, tokens * (0.7e-3 + 0.1e-6 * tokens))


@pytest.mark.parametrize("scan_every", [0, 2], ids=["zipf", "zipf and scan"])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_gdsf_finds_more_than_lru_under_the_same_cap(scan_every: int, share: float) -> None:
    budget = int(share * 1000 * 230 * BYTES_A_TOKEN)
    for seed in range(3):
        trace = zipf_trace(seed, 4000, scan_every=scan_every)
        lru, gdsf = (replay(trace, rule(), budget) for rule in (Lru, Gdsf))
        assert lru.tokens == gdsf.tokens == sum(use.num_tokens for use in trace)
        assert gdsf.hit_tokens > lru.hit_tokens
        assert gdsf.saved_seconds > lru.saved_seconds


def test_with_room_for_everything_the_rules_are_equal() -> None:
    trace = zipf_trace(0, 500)
    figures = [replay(trace, new_eviction(name), 10**12) for name in EVICTIONS]
    assert len({row.hit_tokens for row in figures}) == 1
    assert figures[0].hit_share < 1


def test_what_was_popular_long_ago_is_overtaken() -> None:
    old = [use_of("old", 100)] * 20
    now = [use_of(name, 100) for _ in range(40) for name in "abc"]
    trace = [*old, *now, use_of("old", 100)]
    figures = replay(trace, Gdsf(), 300 * BYTES_A_TOKEN)
    assert figures.hit_tokens >= 100 * (19 + 60)


def test_an_entry_larger_than_the_budget_evicts_nothing() -> None:
    trace = [use_of("a", 100), use_of("huge", 1000), use_of("a", 100)]
    assert replay(trace, Lru(), 200 * BYTES_A_TOKEN).hit_tokens == 100


def test_seconds_a_byte_decide_between_equally_used_entries() -> None:
    rule = Gdsf()
    assert rule.rank(Held(10, 2.0, 0.0)) > rule.rank(Held(10, 1.0, 99.0))
    assert rule.rank(Held(10, 1.0, 0.0)) > rule.rank(Held(20, 1.0, 99.0))


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InvalidReuse, match="known: lru, gdsf"):
        new_eviction("fifo")


def make_entry(seed: int) -> ChunkKV:
    ids = tuple(range(seed, seed + 20))
    key = entry_key("namespace", "identity", content_id(ids), ())
    return ChunkKV(key, ids, torch.zeros(2, 3, 20, 8), torch.zeros(2, 3, 20, 8))


def held_by(tier: DiskTier, entries: list[ChunkKV]) -> list[bool]:
    return [tier.contains(entry.key) for entry in entries]


@pytest.mark.parametrize(
    ("rule", "kept"), [("gdsf", [True, False, False, True]), ("lru", [False, False, True, True])]
)
def test_the_disk_tier_follows_its_rule(tmp_path: Path, rule: str, kept: list[bool]) -> None:
    entries = [make_entry(seed) for seed in range(4)]
    tier = DiskTier(tmp_path, 9_000 * 2, MemoryIndex(), DiskRules(eviction=rule))
    tier.put(entries[0])
    for _ in range(5):
        tier.get(entries[0].key)
    for entry in entries[1:]:
        tier.put(entry)
    assert held_by(tier, entries) == kept


@pytest.mark.parametrize("rule", ["cache_craft", "cache_craft_gdsf"])
def test_a_use_that_needed_little_repair_counts_for_more(tmp_path: Path, rule: str) -> None:
    """Two uses of the first, nearly all of which was computed anew, against one that was exact."""
    entries = [make_entry(seed) for seed in range(3)]
    tier = DiskTier(tmp_path, 9_000 * 2, MemoryIndex(), DiskRules(eviction=rule))
    for entry, overheads in zip(entries, [(0.9, 0.9), (0.0,)], strict=False):
        tier.put(entry)
        for overhead in overheads:
            tier.get(entry.key)
            tier.credit(entry.key.digest, overhead)
    tier.put(entries[2])
    assert held_by(tier, entries) == [False, True, True]


def test_uses_survive_a_restart(tmp_path: Path) -> None:
    index, rules = MemoryIndex(), DiskRules(eviction="gdsf")
    entries = [make_entry(seed) for seed in range(4)]
    tier = DiskTier(tmp_path, 9_000 * 3, index, rules)
    for entry in entries[:3]:
        tier.put(entry)
    tier.get(entries[0].key)
    tier.flush()
    tier = DiskTier(tmp_path, 9_000 * 3, index, rules)
    tier.put(entries[3])
    assert held_by(tier, entries)[0]
    assert sum(held_by(tier, entries)) == 3


def test_a_clock_that_is_put_back_does_not_reverse_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [make_entry(seed) for seed in range(4)]
    tier = DiskTier(tmp_path, 9_000 * 3, MemoryIndex())
    for entry in entries[:3]:
        tier.put(entry)
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: 1000.0)
    tier.get(entries[0].key)
    tier.put(entries[3])
    assert held_by(tier, entries) == [True, False, True, True]


def test_what_nobody_used_goes_after_its_time_to_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, rules = MemoryIndex(), DiskRules(ttl_s=7 * DAY)
    entries = [make_entry(seed) for seed in range(4)]
    tier = DiskTier(tmp_path, 10**6, index, rules)
    for entry in entries[:3]:
        tier.put(entry)
    tier.pin(entries[0].key.digest, pinned=True)
    start = time.time()
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: start + 5 * DAY)
    tier.get(entries[1].key)
    tier.flush()
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: start + 8 * DAY)
    tier.put(entries[3])
    assert held_by(tier, entries) == [True, True, False, True]
    assert (tier.expired, tier.evicted) == (1, 0)
    monkeypatch.setattr(kvstore.disk_tier.time, "time", lambda: start + 30 * DAY)
    reopened = DiskTier(tmp_path, 10**6, index, rules)
    assert held_by(reopened, entries) == [True, False, False, False]
