"""Variants over restarts, evictions and failures: what is chosen, what is read, what may go."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.encodings import find_encoding
from kvstore.keys import content_id
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import Encoding, ReuseOptions, Segment
from tests.support.tiny_models import FRAME, build_runner, draw_ids, prompt_of

ENCODINGS: tuple[Encoding, ...] = ("variant", "primed", "neutral", "head")
ORDERS = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0), (1, 2, 3, 0))
Chunks = list[tuple[int, ...]]


@pytest.fixture
def runner() -> ModelRunner:
    return build_runner("llama")


def start(
    runner: ModelRunner,
    folder: Path,
    index: MemoryIndex,
    *,
    encodings: tuple[Encoding, ...] = ENCODINGS,
    namespace: str = "namespace",
    ram_bytes: int = 10**8,
) -> ReuseEngine:
    store = KVStore(RamTier(ram_bytes), DiskTier(folder, 10**9, index), namespace, "identity")
    config = ReuseConfig(encodings=encodings, variants=3, min_reusable_tokens=1)
    engine = ReuseEngine(runner, store, FRAME, config)
    engine.refusal = None
    engine.prepare()
    return engine


def in_order(chunks: Chunks, order: Sequence[int]) -> list[Segment]:
    return prompt_of([chunks[place] for place in order])


def holds(engine: ReuseEngine, chunk: Segment, name: str) -> bool:
    context = find_encoding(name).key_context(FRAME, chunk)
    return engine.store.holds(chunk.token_ids, context)


def test_captures_after_a_restart_leave_other_encodings_alone(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    index = MemoryIndex()
    with_neighbours = [Segment("chunk", ids, (draw_ids(9, 1), draw_ids(8, 2))) for ids in chunks]
    list(start(runner, tmp_path, index).precompute(with_neighbours))
    again = start(runner, tmp_path, index)
    for order in ORDERS:
        again.capture(in_order(chunks, order))
    for chunk in with_neighbours:
        assert all(holds(again, chunk, name) for name in ("primed", "neutral", "head"))


def test_variants_of_before_a_restart_make_room_for_new_ones(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    index = MemoryIndex()
    first = start(runner, tmp_path, index)
    for order in ORDERS[:3]:
        first.capture(in_order(chunks, order))
    again = start(runner, tmp_path, index)
    for order in ORDERS[3:]:
        again.capture(in_order(chunks, order))
    counts = [sum(content == row.content for row in index.rows()) for content in _contents(chunks)]
    assert max(counts) <= 3


def test_a_pinned_variant_stays_and_is_not_counted(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    engine = start(runner, tmp_path, MemoryIndex())
    engine.capture(in_order(chunks, ORDERS[0]))
    entry = engine.plan(in_order(chunks, ORDERS[0]), ReuseOptions()).segments[4].entry
    assert entry is not None
    engine.store.pin(entry.key, pinned=True)
    for order in ((0, 2, 1, 3), (1, 0, 2, 3), (1, 2, 0, 3), (2, 0, 1, 3)):
        engine.capture(in_order(chunks, order))
    found = engine.plan(in_order(chunks, ORDERS[0]), ReuseOptions()).segments[4]
    assert found.entry is not None
    assert found.entry.key == entry.key


def test_a_store_of_another_tenant_has_other_variants(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    index = MemoryIndex()
    start(runner, tmp_path, index).capture(in_order(chunks, ORDERS[0]))
    other = start(runner, tmp_path, index, namespace="other")
    names = _contents([FRAME.prefix, *FRAME.primers])
    fixed = [(names[0], ("",))] + [(names[n], tuple(names[:n])) for n in range(1, len(names))]
    assert other.store.contexts() == fixed


def test_choosing_reads_one_variant_and_counts_one_use(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    index = MemoryIndex()
    first = start(runner, tmp_path, index)
    for order in ((0, 1, 2, 3), (0, 2, 1, 3), (1, 0, 2, 3)):
        first.capture(in_order(chunks, order))
    again = start(runner, tmp_path, index, ram_bytes=0)  # statistics come from the files
    before = again.store.stats().counters
    planned = again.plan(in_order(chunks, (1, 0, 2, 3)), ReuseOptions()).segments
    assert planned[4].reason == reasons.REUSED_VARIANT
    assert planned[4].overhead == 0
    after = again.store.stats().counters
    hits = after["hits_disk"] - before["hits_disk"]
    assert hits == sum(one.entry is not None for one in planned)
    uses = [held.uses for held in again.store.tiers.disk._ledger.held.values()]
    assert max(uses) <= 2  # P was also read when the engine started


def test_a_request_may_name_variants_after_a_restart(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    plain: tuple[Encoding, ...] = ("primed", "head")
    index = MemoryIndex()
    start(runner, tmp_path, index, encodings=plain).capture(in_order(chunks, ORDERS[0]))
    again = start(runner, tmp_path, index, encodings=plain)
    options = ReuseOptions(encoding="variant")
    planned = again.plan(in_order(chunks, ORDERS[0]), options).segments
    assert {one.encoding for one in planned[2:-1]} == {"variant"}


def test_what_cannot_be_read_just_now_is_not_forgotten(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(runner, tmp_path, MemoryIndex(), ram_bytes=0)
    prompt = in_order(chunks, ORDERS[0])
    engine.capture(prompt)

    def refuse(*_: object) -> bytes:
        raise PermissionError("for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(engine.store.tiers.disk._folder, "read", refuse)
        assert engine.plan(prompt, ReuseOptions()).segments[3].action == "computed"
    assert engine.plan(prompt, ReuseOptions()).segments[3].encoding == "variant"


def test_one_that_is_gone_or_damaged_gives_way_to_the_next(
    runner: ModelRunner, tmp_path: Path, chunks: Chunks
) -> None:
    engine = start(runner, tmp_path, MemoryIndex(), ram_bytes=0)
    for order in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 2, 1, 3)):
        engine.capture(in_order(chunks, order))
    prompt = in_order(chunks, ORDERS[0])
    best = engine.plan(prompt, ReuseOptions()).segments[4]
    assert best.entry is not None
    path = next(tmp_path.glob(f"??/{best.entry.key.digest}*"))
    data = bytearray(path.read_bytes())
    data[-5] ^= 16
    path.write_bytes(data)
    second = engine.plan(prompt, ReuseOptions()).segments[4]
    assert second.encoding == "variant"
    assert second.entry is not None
    assert second.entry.key != best.entry.key
    next(tmp_path.glob(f"??/{second.entry.key.digest}*")).unlink()
    third = engine.plan(prompt, ReuseOptions()).segments[4]
    assert third.encoding == "variant"
    assert third.overhead >= second.overhead


def _contents(chunks: Sequence[tuple[int, ...]]) -> list[str]:
    return [content_id(ids) for ids in chunks]
