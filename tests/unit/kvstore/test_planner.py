"""Plans as plain data: which reason each segment bears when little or nothing can be reused."""

import threading
from collections.abc import Sequence

import pytest
import torch

from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.encodings import preferred
from kvstore.frame import Frame
from kvstore.keys import content_id
from kvstore.planner import Planner
from kvstore.store import MISS, Lookup
from kvstore.types import ChunkKV, Encoding, EntryKey, Segment
from kvstore.variants import VariantCatalog

PREFIX, FIRST, SECOND = tuple(range(10, 50)), (1, 2, 3), (4, 5, 6)
EMPTY = torch.empty(0)
FOUND_KEY = EntryKey("n", "i", "c", "x", "d", "")
FOUND = Lookup(ChunkKV(FOUND_KEY, PREFIX, EMPTY, EMPTY), "ram")
DAMAGED = Lookup(None, corrupt=True)
NO_VARIANTS = VariantCatalog(lambda *_: None)


def plan_reasons(min_tokens: int, found: dict[tuple[int, ...], Lookup]) -> list[str]:
    planner = Planner(Frame(PREFIX, ()), ReuseConfig(min_reusable_tokens=min_tokens), NO_VARIANTS)
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


def test_entries_are_looked_up_at_once_and_keep_their_places() -> None:
    """Each of two look-ups waits for the other, so one after the other would time out."""
    chunks = [tuple(range(100 * n, 100 * n + 5)) for n in range(1, 7)]
    together = threading.Barrier(2, timeout=10)
    names: set[str] = set()

    def find(ids: tuple[int, ...], _: Sequence[str]) -> Lookup:
        if ids in chunks[1:]:
            together.wait()
            names.add(threading.current_thread().name)
            return Lookup(ChunkKV(FOUND_KEY, ids, EMPTY, EMPTY), f"tier {ids[0]}")
        return FOUND if ids == PREFIX else MISS

    planner = Planner(Frame(PREFIX, ()), ReuseConfig(encodings=("primed",)), NO_VARIANTS)
    segments = [Segment("prefix", PREFIX), *(Segment("chunk", ids) for ids in chunks)]
    segments += [Segment("question", (7, 8))]
    # five chunks and pairs only: the last one's partner
    partner = threading.Thread(target=together.wait, daemon=True)
    partner.start()
    plan = planner.plan(segments, find, exact_only=None)
    assert [one.tier for one in plan.segments[2:-1]] == [f"tier {ids[0]}" for ids in chunks[1:]]
    assert threading.current_thread().name not in names


def test_damage_alone_leaves_nothing_stored() -> None:
    assert plan_reasons(1, {PREFIX: DAMAGED, SECOND: DAMAGED}) == [
        reasons.NOTHING_STORED,
        reasons.CORRUPT,
        reasons.NOT_STORED,
        reasons.CORRUPT,
        reasons.QUESTION,
    ]


@pytest.mark.parametrize(
    ("names", "primers", "before", "expected"),
    [
        (("primed", "neutral", "head"), (FIRST,), (SECOND,), ("neutral", "primed", "head")),
        (("primed", "neutral", "head"), (FIRST,), (FIRST,), ("primed", "neutral", "head")),
        (("primed", "neutral", "head"), (), (SECOND,), ("primed", "neutral", "head")),
        (("primed", "head"), (FIRST,), (SECOND,), ("primed", "head")),
        (("neutral", "head"), (FIRST,), (FIRST,), ("neutral", "head")),
    ],
)
def test_among_strangers_neutral_rows_go_first(
    names: tuple[Encoding, ...],
    primers: tuple[tuple[int, ...], ...],
    before: tuple[tuple[int, ...], ...],
    expected: tuple[Encoding, ...],
) -> None:
    """Only where both are kept, and the chunk has neighbours none of which stands before it."""
    contents = [content_id(PREFIX), *map(content_id, before)]
    assert preferred(names, Segment("chunk", (9, 9), primers), contents) == expected


def test_an_encoding_that_was_asked_for_goes_first_among_strangers_too() -> None:
    config = ReuseConfig(encodings=("primed", "neutral", "head"), min_reusable_tokens=1)
    planner = Planner(Frame(PREFIX, ()), config, NO_VARIANTS)
    segments = [
        Segment("prefix", PREFIX),
        Segment("chunk", FIRST),
        Segment("chunk", SECOND, ((7, 7),)),
        Segment("question", (7, 8)),
    ]
    told = [
        planner.plan(segments, lambda *_: FOUND, exact_only=None, encoding=asked).segments[2]
        for asked in (None, "head")
    ]
    assert [segment.encoding for segment in told] == ["neutral", "head"]
