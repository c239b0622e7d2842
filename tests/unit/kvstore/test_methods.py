"""Every way to encode, keep and mend a chunk, against plain forwards of tiny models."""

import math
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from kvstore import reasons
from kvstore.codecs import find_codec
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.encodings import ENCODINGS, find_encoding
from kvstore.errors import InvalidReuse
from kvstore.eviction import Held, worth_of
from kvstore.keydiff import SINKS, kept_tokens, unlikeness
from kvstore.links import LinkTokens, load_links, save_links
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import ChunkKV, Encoding, ReuseOptions, Segment
from tests.support.tiny_models import FRAME, chunk_segments, draw_ids, ids_of, prompt_of
from tests.unit.kvstore.test_precompute import plain_rows

families = pytest.mark.parametrize("family", ["llama", "gemma3"], indirect=True)


def open_engine(
    runner: ModelRunner,
    folder: Path,
    config: ReuseConfig,
    codec: str = "raw",
    eviction: str = "lru",
) -> ReuseEngine:
    rules = DiskRules(codec=find_codec(codec), eviction=eviction)
    disk = DiskTier(folder, 10**9, MemoryIndex(), rules)
    engine = ReuseEngine(
        runner, KVStore(RamTier(10**8), disk, "namespace", "identity"), FRAME, config
    )
    engine.refusal = None
    engine.prepare()
    return engine


def prefill(engine: ReuseEngine, segments: list[Segment], options: ReuseOptions) -> Prefilled:
    return engine.prefill(segments, options, capacity=len(ids_of(segments)) + 80)


@torch.inference_mode()
def full_logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids])).logits[0, -1]


def stored(engine: ReuseEngine, chunk: Segment, name: str) -> ChunkKV:
    context = find_encoding(name).key_context(engine.frame, chunk)
    entry = engine.store.lookup(chunk.token_ids, context).entry
    assert entry is not None
    return entry


def chunk_with_neighbours() -> Segment:
    return Segment("chunk", draw_ids(17, 1), (draw_ids(11, 2), draw_ids(9, 3)))


@families
def test_each_encoding_holds_what_its_contexts_give(runner: ModelRunner, tmp_path: Path) -> None:
    names: tuple[Encoding, ...] = ("alone", "head", "neutral", "primed", "mean", "medoid")
    assert set(names) == set(ENCODINGS)
    engine = open_engine(runner, tmp_path, ReuseConfig(encodings=names))
    chunk = chunk_with_neighbours()
    assert [report.reason for report in engine.precompute([chunk])] == [None]
    for name in names:
        rule = find_encoding(name)
        rows = [
            plain_rows(runner, [*before, chunk.token_ids]) for before in rule.contexts(FRAME, chunk)
        ]
        entry = stored(engine, chunk, name)
        if rule.combine == "medoid":
            assert any(torch.allclose(entry.keys, keys, atol=1e-5) for keys, _ in rows)
            continue
        assert torch.allclose(entry.keys, torch.stack([k for k, _ in rows]).mean(0), atol=1e-5)
        assert torch.allclose(entry.values, torch.stack([v for _, v in rows]).mean(0), atol=1e-5)


@families
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_request_names_its_encoding_and_all_recomputed_is_exact(
    runner: ModelRunner,
    plain_model: PreTrainedModel,
    tmp_path: Path,
    chunks: list[tuple[int, ...]],
    encoding: Encoding,
) -> None:
    config = ReuseConfig(encodings=("primed", encoding), min_reusable_tokens=1)
    engine = open_engine(runner, tmp_path, config)
    list(engine.precompute(chunk_segments(chunks)))
    segments = prompt_of(chunks)
    options = ReuseOptions(policy="all", ratio=1.0, encoding=encoding)
    result = prefill(engine, segments, options)
    assert {s.encoding for s in result.report.segments[2:-1]} == {encoding}
    assert {s.reason for s in result.report.segments[2:-1]} == {f"reused_{encoding}"}
    expected = full_logits(plain_model, ids_of(segments))
    assert torch.allclose(result.logits, expected, atol=1e-4)


@families
def test_unknown_encodings_are_named(runner: ModelRunner, tmp_path: Path) -> None:
    with pytest.raises(InvalidReuse, match="known: alone"):
        open_engine(runner, tmp_path, ReuseConfig(encodings=("nearby",)))  # type: ignore[arg-type]


@families
def test_a_variant_holds_the_rows_of_the_prompt_it_was_captured_from(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    engine = open_engine(runner, tmp_path, ReuseConfig(encodings=("variant", "head")))
    segments = prompt_of(chunks)
    assert engine.capture(segments) == len(chunks) - 1
    found = engine.plan(segments, ReuseOptions()).segments
    assert [s.reason for s in found[2:-1]] == [reasons.REUSED_VARIANT] * (len(chunks) - 1)
    keys, values = plain_rows(runner, [FRAME.prefix, *chunks[:3]])
    entry = found[3].entry
    assert entry is not None
    assert torch.allclose(entry.keys, keys, atol=1e-5)
    assert torch.allclose(entry.values, values, atol=1e-5)
    assert found[3].overhead == 0  # behind the very same passages nothing wants mending


@families
def test_of_several_variants_the_one_that_owes_least_is_taken_and_few_are_kept(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    engine = open_engine(runner, tmp_path, ReuseConfig(encodings=("variant", "head")))
    a, b, c, d = chunks
    for order in ([a, b, d], [b, a, d], [c, a, d]):
        engine.capture(prompt_of(order))
    last = engine.plan(prompt_of([b, a, d]), ReuseOptions()).segments[3]
    assert last.overhead == 0
    before = engine.store.stats().tiers[1].entries
    engine.capture(prompt_of([c, b, d]))  # a fourth: the one least used goes
    assert engine.store.stats().tiers[1].entries == before + 1  # b's first variant is new
    assert engine.plan(prompt_of([b, a, d]), ReuseOptions()).segments[3].overhead == 0


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_the_fix_overhead_of_a_variant_counts_for_its_eviction(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    config = ReuseConfig(encodings=("variant",), min_reusable_tokens=1)
    engine = open_engine(runner, tmp_path, config, eviction="cache_craft")
    first, second, third, _ = chunks
    engine.capture(prompt_of([first, second, third]))
    before = {digest: held.score for digest, held in held_by(engine).items()}
    prompt = prompt_of([first, second, third])
    prefill(engine, prompt, ReuseOptions(policy="none", ratio=0.0))  # nothing wants mending
    other = prompt_of([second, third])
    prefill(engine, other, ReuseOptions(policy="none", ratio=0.0))
    planned = engine.plan(other, ReuseOptions()).segments[2]
    assert planned.reason == reasons.REUSED_VARIANT
    assert planned.entry is not None
    gained = held_by(engine)[planned.entry.key.digest].score - before[planned.entry.key.digest]
    looked_up = 1.0  # by the plan just made, whose overhead was not told
    assert gained == pytest.approx(worth_of(0.0) + worth_of(planned.overhead) + looked_up)
    assert planned.overhead > 0.1


def held_by(engine: ReuseEngine) -> dict[str, Held]:
    return engine.store.tiers.disk._ledger.held


@families
def test_variants_outlive_the_process(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    config = ReuseConfig(encodings=("variant", "primed", "head"))
    index = MemoryIndex()

    def start() -> ReuseEngine:
        disk = DiskTier(tmp_path, 10**9, index)
        store = KVStore(RamTier(10**8), disk, "namespace", "identity")
        engine = ReuseEngine(runner, store, FRAME, config)
        engine.refusal = None
        engine.prepare()
        return engine

    first = start()
    list(first.precompute(chunk_segments(chunks)))
    first.capture(prompt_of(chunks))
    found = start().plan(prompt_of(chunks), ReuseOptions()).segments[2:-1]
    assert {s.encoding for s in found} == {"variant"}
    assert {s.overhead for s in found} == {0.0}


@families
@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (ReuseConfig(encodings=("variant", "head")), True),
        (ReuseConfig(policy="cache_craft_focus"), True),
        (ReuseConfig(), False),
        (ReuseConfig(encodings=("variant", "head"), variants=0), False),
        (ReuseConfig(policy="cache_craft", variants=0), False),
        (ReuseConfig(variants=1), True),
    ],
)
def test_prompts_are_learnt_from_where_the_method_lives_on_variants(
    runner: ModelRunner,
    tmp_path: Path,
    chunks: list[tuple[int, ...]],
    config: ReuseConfig,
    wanted: bool,
) -> None:
    segments = prompt_of(chunks)
    engine = open_engine(runner, tmp_path, config)
    off = prefill(engine, segments, ReuseOptions(mode="off"))
    assert engine.teaches(off.report) == wanted
    if wanted:
        engine.capture(segments)
    served = ReuseOptions(ratio=0.0, encoding="variant")
    auto = prefill(engine, segments, served)
    assert (auto.report.tokens.reused > 0) == wanted
    if wanted:  # now every chunk has one
        assert not engine.teaches(auto.report)


@families
def test_a_request_for_cache_craft_is_learnt_from_and_finds_what_was_learnt(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    """The server's own method is another; passages were stored as they were taken in. At most three
    contexts a passage, and another method sees none of them."""
    engine = open_engine(runner, tmp_path, ReuseConfig())
    list(engine.precompute(chunk_segments(chunks)))
    asked = ReuseOptions(policy="cache_craft", ratio=0.2)
    segments = prompt_of(chunks)
    first = prefill(engine, segments, asked).report
    assert {s.encoding for s in first.segments[2:-1]} == {"primed"}
    assert engine.teaches(first, asked)
    assert engine.capture(segments) == len(chunks) - 1
    again = prefill(engine, segments, asked).report
    assert {s.encoding for s in again.segments[2:-1]} == {"variant"}
    assert not engine.teaches(again, asked)
    other = prefill(engine, segments, ReuseOptions()).report
    assert {s.encoding for s in other.segments[2:-1]} == {"primed"}
    assert not engine.teaches(other)
    a, b, c, d = chunks
    before = engine.store.stats().tiers[1].entries
    for order in ([a, b, c, d], [b, a, c, d], [c, a, b, d], [b, c, a, d], [c, b, a, d]):
        engine.capture(prompt_of(order))
    contexts = [context for content, context in engine.store.contexts() if len(context) == 4]
    assert len(contexts) == 3
    assert engine.store.stats().tiers[1].entries > before


@families
def test_cache_craft_mends_within_the_budget(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]]
) -> None:
    config = ReuseConfig(encodings=("variant", "head"), min_reusable_tokens=1)
    engine = open_engine(runner, tmp_path, config)
    list(engine.precompute(chunk_segments(chunks)))
    engine.capture(prompt_of(chunks[::-1]))
    segments = prompt_of(chunks)
    for policy in ("cache_craft", "cache_craft_focus"):
        options = ReuseOptions(policy=policy, ratio=0.2)
        planned = engine.plan(segments, options).reused_spans
        report = prefill(engine, segments, options).report
        stored_tokens = report.tokens.reused + report.tokens.recomputed
        wanted = sum(math.ceil(span.overhead * len(span)) for span in planned)
        assert report.tokens.recomputed == min(wanted, -(-stored_tokens // 5))
        assert 0 < report.tokens.recomputed <= stored_tokens // 5 + 1


def test_keydiff_keeps_sinks_and_the_least_ordinary_keys() -> None:
    keys = torch.ones(2, 1, 12, 4) + 0.01 * torch.randn(2, 1, 12, 4)
    keys[:, :, 8] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert unlikeness(keys).argmax() == 8
    kept = kept_tokens(keys, 0.4)
    assert kept is not None
    assert kept[:SINKS].tolist() == list(range(SINKS))
    assert 8 in kept
    assert kept_tokens(keys, 1.0) is None
    assert kept_tokens(keys[:, :, :3], 0.1) is None


@families
def test_rows_that_were_not_kept_are_never_seen(
    runner: ModelRunner,
    plain_model: PreTrainedModel,
    tmp_path: Path,
    chunks: list[tuple[int, ...]],
) -> None:
    """Every dropped row recomputed is a full prefill; none of them is a forward without them."""
    config = ReuseConfig(encodings=("primed", "head"), keep_share=0.5, min_reusable_tokens=1)
    engine = open_engine(runner, tmp_path, config)
    list(engine.precompute(chunk_segments(chunks)))
    segments = prompt_of(chunks)
    assert stored(engine, chunk_segments(chunks)[1], "primed").keys.shape[2] == len(chunks[1]) // 2
    plan = engine.plan(segments, ReuseOptions())
    assert plan.segments[1].action == "reused"  # half a chunk is not exact, not even the first
    whole = prefill(engine, segments, ReuseOptions(policy="all", ratio=1.0))
    expected = full_logits(plain_model, ids_of(segments))
    assert torch.allclose(whole.logits, expected, atol=1e-4)
    none = prefill(engine, segments, ReuseOptions(policy="none", ratio=0.0))
    again = none.extend([5, 6])
    assert torch.isfinite(again).all()
    one_by_one = prefill(engine, segments, ReuseOptions(policy="none", ratio=0.0))
    steps = torch.cat([one_by_one.extend([5]), one_by_one.extend([6])])
    assert torch.allclose(again, steps, atol=1e-4)


@families
def test_a_codec_that_rounds_leaves_only_the_prefix_exact(
    runner: ModelRunner,
    plain_model: PreTrainedModel,
    tmp_path: Path,
    chunks: list[tuple[int, ...]],
) -> None:
    engine = open_engine(runner, tmp_path, ReuseConfig(min_reusable_tokens=1), "int8")
    list(engine.precompute(chunk_segments(chunks)))
    segments = prompt_of(chunks)
    actions = [s.action for s in engine.plan(segments, ReuseOptions()).segments]
    assert actions == ["exact", *["reused"] * len(chunks), "computed"]
    exact = prefill(engine, segments, ReuseOptions(mode="exact"))
    assert exact.report.tokens.exact_prefix == len(FRAME.prefix)
    expected = full_logits(plain_model, ids_of(segments))
    assert torch.allclose(exact.logits, expected, atol=1e-4)


@families
def test_link_tokens_follow_each_chunk_and_see_everything_before(
    runner: ModelRunner,
    plain_model: PreTrainedModel,
    engine: ReuseEngine,
    tmp_path: Path,
    chunks: list[tuple[int, ...]],
) -> None:
    list(engine.precompute(chunk_segments(chunks)))
    segments = prompt_of(chunks)
    options = ReuseOptions(policy="link_tokens", ratio=1.0)
    with pytest.raises(InvalidReuse, match="LARDER_LINK_TOKENS"):
        prefill(engine, segments, options)
    with pytest.raises(InvalidReuse, match="LARDER_LINK_TOKENS"):
        engine.check(options)
    table = runner.model.get_input_embeddings()
    hidden = int(table.weight.shape[1])
    path = tmp_path / "links.safetensors"
    save_links(path, torch.randn(3, hidden, generator=torch.Generator().manual_seed(1)), "tiny")
    links = load_links(path, hidden, runner.vocabulary, "tiny")
    engine.use_links(links)
    engine.check(options)
    result = prefill(engine, segments, options)
    assert len(result.report.segments) == len(segments)
    assert result.report.tokens.prompt == len(ids_of(segments)) + 3 * len(chunks)
    woven = links.weave(segments)
    embedded = torch.cat(
        [
            links.embeddings
            if s.kind == "link"
            else plain_model.get_input_embeddings()(torch.tensor(s.token_ids))
            for s in woven
        ]
    )
    with torch.inference_mode():
        expected = plain_model(inputs_embeds=embedded[None]).logits[0, -1]
    assert torch.allclose(result.logits, expected, atol=1e-4)
    off = prefill(engine, segments, ReuseOptions(mode="off", policy="link_tokens"))
    assert off.report.tokens.prompt == len(ids_of(segments))


@families
def test_files_that_hold_no_link_tokens_are_refused(runner: ModelRunner, tmp_path: Path) -> None:
    path = tmp_path / "links.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(InvalidReuse, match="no link tokens"):
        load_links(path, 8, runner.vocabulary, "tiny")
    save_links(path, torch.zeros(2, 7), "tiny")
    with pytest.raises(InvalidReuse, match="needs"):
        load_links(path, 8, runner.vocabulary, "tiny")
    save_links(path, torch.zeros(2, 8), "another")
    with pytest.raises(InvalidReuse, match="other weights"):
        load_links(path, 8, runner.vocabulary, "tiny")


def test_links_end_where_the_vocabulary_does() -> None:
    links = LinkTokens(torch.zeros(2, 4), 100)
    woven = links.weave(
        [Segment("prefix", (1,)), Segment("chunk", (2,)), Segment("question", (3,))]
    )
    assert [s.token_ids for s in woven] == [(1,), (2,), (100, 101), (3,)]
    assert links.count_in(woven) == 2
