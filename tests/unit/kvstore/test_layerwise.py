"""Rows placed layer by layer while the forward runs: the same bits, whatever goes wrong."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch

from kvstore import reasons
from kvstore.cache import ScatterCache
from kvstore.codecs import CODECS, find_codec
from kvstore.codecs.int8 import Int8Codec
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.entry_file import entry_digest
from kvstore.keys import content_id
from kvstore.memory_index import MemoryIndex
from kvstore.position import Rotator
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.spare_buffers import Pair, SpareBuffers
from kvstore.store import KVStore
from kvstore.types import PrefillReport, ReuseOptions, Segment
from tests.support.tiny_models import (
    FAMILIES,
    FRAME,
    build_runner,
    chunk_segments,
    draw_ids,
    ids_of,
    prompt_of,
)

CHUNKS = [draw_ids(count, 70 + count) for count in (31, 24, 40, 19)]
PROMPT = prompt_of(CHUNKS)
QUESTION = ReuseOptions(policy="question", ratio=0.2)
POLICIES = ("none", "question", "value_deviation", "gradual_deviation", "cache_craft_focus", "all")
BASE = ReuseConfig(min_reusable_tokens=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Both:
    """Two engines over one store: rows placed whole, and layer by layer."""

    whole: ReuseEngine
    by_layer: ReuseEngine
    folder: Path


Open = Callable[..., Both]


@pytest.fixture(scope="module")
def llama() -> ModelRunner:
    return build_runner("llama")


@pytest.fixture
def open_both(tmp_path: Path) -> Open:
    def open_them(
        runner: ModelRunner, codec: str = "int8", ram: int = 0, config: ReuseConfig = BASE
    ) -> Both:
        disk = DiskTier(tmp_path / "kv", 10**9, MemoryIndex(), DiskRules(find_codec(codec)))
        store = KVStore(RamTier(ram), disk, "namespace", "identity")
        whole, by_layer = (
            ReuseEngine(runner, store, FRAME, dataclasses.replace(config, layerwise=layerwise))
            for layerwise in (False, True)
        )
        whole.refusal = by_layer.refusal = None
        whole.prepare()
        for _ in whole.precompute(chunk_segments(CHUNKS)):
            pass
        return Both(whole, by_layer, tmp_path / "kv")

    return open_them


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    logits: torch.Tensor  # of the prompt's last row and of four more
    rows: torch.Tensor
    report: PrefillReport


def answer(engine: ReuseEngine, options: ReuseOptions, prompt: list[Segment] = PROMPT) -> Answer:
    made: list[ScatterCache] = []
    new_cache = engine.runner.new_cache

    def keep(capacity: int) -> ScatterCache:
        made.append(new_cache(capacity))
        return made[-1]

    engine.runner.new_cache = keep  # type: ignore[method-assign]
    try:
        done = engine.prefill(prompt, options, capacity=len(ids_of(prompt)) + 8)
    finally:
        engine.runner.new_cache = new_cache  # type: ignore[method-assign]
    logits = torch.cat([done.logits[None], done.extend(draw_ids(4, 5))])
    cache = made[-1]
    rows = torch.stack([cache.key_buffer, cache.value_buffer])[..., : cache.length, :].clone()
    done.release()
    return Answer(logits, rows, done.report)


def check_equal(both: Both, options: ReuseOptions, prompt: list[Segment] = PROMPT) -> Answer:
    first, second = (answer(engine, options, prompt) for engine in (both.whole, both.by_layer))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.rows, second.rows)
    assert first.report.segments == second.report.segments
    assert placing_threads() == []
    return second


def placing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kv-place"]


@pytest.mark.parametrize("codec", list(CODECS))
def test_layers_are_the_bits_of_the_whole(codec: str) -> None:
    torch.manual_seed(3)
    keys, values = torch.randn(5, 2, 37, 8), torch.randn(5, 2, 37, 8)
    coder = find_codec(codec)
    for dtype in (torch.float32, torch.bfloat16):
        tensors = coder.encode(keys.to(dtype), values.to(dtype))
        whole = coder.decode(tensors, dtype)
        layers = list(coder.layers(tensors, dtype))
        assert all(key.shape == (1, 2, 37, 8) and key.is_contiguous() for key, _ in layers)
        for which in (0, 1):
            assert torch.equal(torch.cat([pair[which] for pair in layers]), whole[which])


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("policy", ["none", "question_deviation", "all"])
def test_every_codec_and_policy(
    llama: ModelRunner, open_both: Open, codec: str, policy: str
) -> None:
    both = open_both(llama, codec)
    ratio = 1.0 if policy == "all" else 0.2
    found = check_equal(both, ReuseOptions(policy=policy, ratio=ratio))
    assert {segment.action for segment in found.report.segments[2:-1]} == {"reused"}
    check_equal(both, ReuseOptions(mode="exact"))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(open_both: Open, name: str) -> None:
    both = open_both(build_runner(name))
    for policy in ("none", "question", "value_deviation"):
        check_equal(both, ReuseOptions(policy=policy, ratio=0.3))
    missing = prompt_of([CHUNKS[0], draw_ids(25, 9), CHUNKS[2]])
    check_equal(both, QUESTION, missing)


@pytest.mark.parametrize("codec", ["raw", "int8"])
def test_rows_that_were_not_kept_stay_hidden(
    llama: ModelRunner, open_both: Open, codec: str
) -> None:
    both = open_both(llama, codec, config=dataclasses.replace(BASE, keep_share=0.5))
    check_equal(both, QUESTION)
    check_equal(both, ReuseOptions(policy="none", ratio=0))


def test_a_passage_twice_in_a_prompt(llama: ModelRunner, open_both: Open) -> None:
    check_equal(open_both(llama), QUESTION, prompt_of([CHUNKS[0], CHUNKS[1], CHUNKS[1]]))


@pytest.mark.parametrize("codec", ["int8", "cachegen"])
def test_memory_gets_the_whole_entry(llama: ModelRunner, open_both: Open, codec: str) -> None:
    both = open_both(llama, codec, ram=10**8)
    first = answer(both.by_layer, QUESTION)
    again = check_equal(both, QUESTION)
    assert {s.tier for s in first.report.segments[1:-1]} == {"disk"}
    assert {s.tier for s in again.report.segments[1:-1]} == {"ram"}
    assert torch.equal(first.logits, again.logits)
    assert both.by_layer.store.stats().load_bytes_per_s["disk"] > 0


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """A file whose checksum is right and whose tensors are not what a codec wrote."""
    data = path.read_bytes()
    tensors = safetensors.torch.load(data)
    header = safetensors.safe_open(path, "pt").metadata()  # type: ignore[no-untyped-call]
    change(tensors)
    metadata = header | {"sha256": entry_digest(tensors, header)}
    path.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def entries_of(both: Both, chunk: tuple[int, ...]) -> list[Path]:
    rows = both.whole.store.tiers.disk.entries()
    digests = {row.digest for row in rows if row.content == content_id(chunk)}
    return [path for path in both.folder.glob("??/*.safetensors") if path.stem in digests]


def lose_a_tensor(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["keys_step"]


def cut_layers(tensors: dict[str, torch.Tensor]) -> None:
    for name in tensors.keys() - {"token_ids", "kept"}:
        tensors[name] = tensors[name][:-1].contiguous()


def spoil_the_last_layer(tensors: dict[str, torch.Tensor]) -> None:
    """Only found after the first layers are placed."""
    tensors["values_low"] = tensors["values_low"][:-1].contiguous()
    tensors["values_step"] = tensors["values_step"][:-1].contiguous()


@pytest.mark.parametrize("change", [lose_a_tensor, cut_layers, spoil_the_last_layer])
def test_what_a_codec_cannot_decode_has_the_outcome_of_whole_loading(
    llama: ModelRunner, open_both: Open, change: Callable[[dict[str, torch.Tensor]], None]
) -> None:
    both = open_both(llama)
    for path in entries_of(both, CHUNKS[2]):
        rewrite(path, change)
    outcomes = []
    for engine in (both.by_layer, both.whole):
        try:
            outcomes.append(answer(engine, QUESTION).report.segments[3].reason)
        except Exception as error:  # what shapes that fit no model do today
            outcomes.append(type(error).__name__)
        assert placing_threads() == []
    if change is not cut_layers:  # the first found it and put it aside
        assert outcomes == [reasons.CORRUPT, reasons.NOT_STORED]
        truth = answer(both.whole, ReuseOptions(mode="off")).logits
        everything = ReuseOptions(policy="all", ratio=1.0)
        assert torch.allclose(answer(both.by_layer, everything).logits, truth, atol=1e-4)
    else:
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("place", range(1, len(CHUNKS)))
def test_a_flipped_bit_is_found_before_anything_is_placed(
    llama: ModelRunner, open_both: Open, place: int
) -> None:
    both = open_both(llama)
    for path in entries_of(both, CHUNKS[place]):
        data = bytearray(path.read_bytes())
        data[-5] ^= 0x10
        path.write_bytes(data)
    damaged = answer(both.by_layer, QUESTION)
    assert damaged.report.segments[place + 1].reason == reasons.CORRUPT
    missing = answer(both.whole, QUESTION)
    assert missing.report.segments[place + 1].reason == reasons.NOT_STORED
    assert torch.equal(damaged.logits, missing.logits)
    assert torch.equal(damaged.rows, missing.rows)


def in_placing_thread() -> bool:
    return threading.current_thread().name == "kv-place"


@pytest.mark.parametrize("layer", [0, 3])
def test_a_thread_that_fails_half_way(
    llama: ModelRunner, open_both: Open, monkeypatch: pytest.MonkeyPatch, layer: int
) -> None:
    both = open_both(llama)
    truth = answer(both.whole, QUESTION)
    place = Rotator.place

    def fail(self: Rotator, keys: torch.Tensor, out: torch.Tensor, start: int, first: int) -> None:
        if in_placing_thread() and first >= layer:
            raise MemoryError("no room")
        place(self, keys, out, start, first)

    monkeypatch.setattr(Rotator, "place", fail)
    found = answer(both.by_layer, QUESTION)
    assert torch.equal(found.logits, truth.logits)
    assert torch.equal(found.rows, truth.rows)
    assert placing_threads() == []


def books(engine: ReuseEngine) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """Hits and misses so far, and uses by entry."""
    store = engine.store
    uses = sorted((row.digest, row.uses) for row in store.tiers.disk.entries())
    counters = store.stats().counters
    return {name: counters[name] for name in ("hits_ram", "hits_disk", "misses")}, uses


@pytest.mark.parametrize("ram", [0, 10**8])
def test_a_prompt_that_is_placed_twice_counts_its_uses_once(
    llama: ModelRunner, open_both: Open, monkeypatch: pytest.MonkeyPatch, ram: int
) -> None:
    both = open_both(llama, ram=ram)
    prompt = prompt_of([*CHUNKS, draw_ids(21, 8)])  # the last one is a miss
    tried, place = [], Rotator.place

    def fail(self: Rotator, keys: torch.Tensor, out: torch.Tensor, start: int, first: int) -> None:
        if in_placing_thread():
            tried.append(first)
            raise MemoryError("no room")
        place(self, keys, out, start, first)

    answer(both.whole, QUESTION, prompt)  # fills memory, where there is some
    steps = []
    for engine in (both.whole, both.by_layer):
        counters, uses = books(engine)
        with monkeypatch.context() as patches:
            patches.setattr(Rotator, "place", fail)
            answer(engine, QUESTION, prompt)
        after, used = books(engine)
        gained = {name: n - counters[name] for name, n in after.items()}
        steps.append((gained, [(d, n - m) for (d, n), (_, m) in zip(used, uses, strict=True)]))
    assert tried
    assert steps[0] == steps[1]
    gained, uses = steps[1]
    assert gained["misses"] > 0
    assert sum(n for _, n in uses) == gained["hits_ram"] + gained["hits_disk"] > len(CHUNKS)


@pytest.mark.parametrize("policy", POLICIES)
def test_rows_that_are_not_there_yet_are_never_read(
    llama: ModelRunner, open_both: Open, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Buffers full of NaN, and a thread that is always later than the forward."""
    both = open_both(llama)
    options = ReuseOptions(policy=policy, ratio=1.0 if policy == "all" else 0.2)
    truth = answer(both.whole, options)
    place, take = Rotator.place, SpareBuffers.take

    def late(self: Rotator, keys: torch.Tensor, out: torch.Tensor, start: int, first: int) -> None:
        if in_placing_thread():
            time.sleep(0.02)
        place(self, keys, out, start, first)

    def poisoned(self: SpareBuffers, *args: object) -> Pair:
        pair = take(self, *args)  # type: ignore[arg-type]
        for buffer in pair:
            buffer.fill_(float("nan"))
        return pair

    monkeypatch.setattr(Rotator, "place", late)
    monkeypatch.setattr(SpareBuffers, "take", poisoned)
    found = answer(both.by_layer, options)
    assert torch.equal(found.logits, truth.logits)
    assert torch.equal(found.rows, truth.rows)


def test_a_forward_that_fails_ends_the_thread(
    llama: ModelRunner, open_both: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that would have much to do still: nobody writes into the next prompt's buffers."""
    both = open_both(llama)
    truth = answer(both.whole, QUESTION)
    decoded: list[int] = []
    decode = Int8Codec.decode

    def slow(
        self: Int8Codec, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        time.sleep(0.02)
        decoded.append(1)
        return decode(self, tensors, dtype)

    def broken(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("cancelled")

    with monkeypatch.context() as patches:
        patches.setattr(Int8Codec, "decode", slow)
        patches.setattr(ModelRunner, "forward_rows", broken)
        with pytest.raises(RuntimeError, match="cancelled"):
            answer(both.by_layer, QUESTION)
    assert placing_threads() == []
    assert len(decoded) < len(CHUNKS) * 4
    assert torch.equal(answer(both.by_layer, QUESTION).logits, truth.logits)


def test_an_entry_that_cannot_be_passed_on_is_an_answer_all_the_same(
    llama: ModelRunner, open_both: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = open_both(llama, ram=10**8)
    truth = answer(build_and_keep_nothing(both), QUESTION)
    put = RamTier.put

    def refuse(self: RamTier, *args: object, **named: object) -> None:
        if in_placing_thread():
            raise RuntimeError("no")
        put(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(RamTier, "put", refuse)
    assert torch.equal(answer(both.by_layer, QUESTION).logits, truth.logits)
    assert placing_threads() == []


def build_and_keep_nothing(both: Both) -> ReuseEngine:
    """An engine on the same folder, so that what it reads is not in the other's memory."""
    store = KVStore(RamTier(0), both.whole.store.tiers.disk, "namespace", "identity")
    engine = ReuseEngine(both.whole.runner, store, FRAME, BASE)
    engine.refusal = None
    return engine
