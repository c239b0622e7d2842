"""Plans as plain data: which reason each segment bears when little or nothing can be reused."""

import torch

from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.frame import Frame
from kvstore.planner import Planner
from kvstore.store import MISS, Lookup
from kvstore.types import ChunkKV, EntryKey, Segment
from kvstore.variants import VariantCatalog

PREFIX, FIRST, SECOND = tuple(range(10, 50)), (1, 2, 3), (4, 5, 6)
EMPTY = torch.empty(0)
FOUND = Lookup(ChunkKV(EntryKey("n", "i", "c", "x", "d", ""), PREFIX, EMPTY, EMPTY), "ram")
DAMAGED = Lookup(None, corrupt=True)


def plan_reasons(min_tokens: int, found: dict[tuple[int, ...], Lookup]) -> list[str]:
    planner = Planner(
        Frame(PREFIX, ()), ReuseConfig(min_reusable_tokens=min_tokens), VariantCatalog()
    )
    segments = [
        Segment("prefix", PREFIX),
        Segment("chunk", FIRST),
        Segment("chunk", SECOND),
        Segment("question", (7, 8)),
    ]
    plan = planner.plan(segments, lambda ids, context: found.get(ids, MISS), exact_only=None)
    return [plan.reason, *(segment.reason for segment in plan.segments)]


def test_too_little_to_reuse_does_not_hide_what_was_damaged() -> None:
    assert plan_reasons(64, {PREFIX: FOUND, FIRST: DAMAGED}) == [
        reasons.TOO_SHORT,
        reasons.TOO_SHORT,
        reasons.CORRUPT,
        reasons.NOT_STORED,
        reasons.QUESTION,
    ]


def test_damage_alone_leaves_nothing_stored() -> None:
    assert plan_reasons(1, {PREFIX: DAMAGED, SECOND: DAMAGED}) == [
        reasons.NOTHING_STORED,
        reasons.CORRUPT,
        reasons.NOT_STORED,
        reasons.CORRUPT,
        reasons.QUESTION,
    ]
