"""ReuseEngine against plain transformers: exactness (P2, P5), immutability (P6), order (P8)."""

import hashlib
from itertools import permutations
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, PreTrainedModel

from kvstore import reasons
from kvstore.encodings import find_encoding
from kvstore.errors import InvalidReuse
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.store import KVStore
from kvstore.types import Encoding, ReuseOptions, Segment
from tests.support.tiny_models import chunk_segments, draw_ids, ids_of, prompt_of

ALL = ReuseOptions(policy="all", ratio=1.0)
NONE = ReuseOptions(policy="none", ratio=0.0)


def store_all(engine: ReuseEngine, chunks: list[tuple[int, ...]]) -> None:
    assert all(report.reason is None for report in engine.precompute(chunk_segments(chunks)))


def prefill(engine: ReuseEngine, segments: list[Segment], options: ReuseOptions) -> Prefilled:
    return engine.prefill(segments, options, capacity=len(ids_of(segments)) + 80)


@torch.inference_mode()
def plain_logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids])).logits[0]


def kl(full: torch.Tensor, other: torch.Tensor) -> float:
    p, q = full.double().log_softmax(-1), other.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def test_everything_recomputed_equals_plain_transformers(
    engine: ReuseEngine, plain_model: PreTrainedModel, chunks: list[tuple[int, ...]]
) -> None:
    """P2: 50 prompts, 64 greedy tokens each, KL at most 1e-8. A few are decoded token by token as
    a server does; the others take in the plain model's answer at once."""
    pool = [draw_ids(12, 1000 + n) for n in range(20)]
    store_all(engine, pool)
    prompts = [
        prompt_of([pool[(n * 7 + k * 3) % 20] for k in range(3)], question=6) for n in range(50)
    ]
    full, answers = plain_answers(plain_model, [ids_of(segments) for segments in prompts], 64)
    for n, segments in enumerate(prompts):
        result = prefill(engine, segments, ALL)
        assert kl(full[n], result.logits) <= 1e-8
        if n < 3:
            assert greedy(result, 64) == answers[n]
        else:
            logits = torch.cat([result.logits[None], result.extend(answers[n][:-1])])
            assert logits.argmax(-1).tolist() == answers[n]


@torch.inference_mode()
def plain_answers(
    model: PreTrainedModel, prompts: list[list[int]], count: int
) -> tuple[torch.Tensor, list[list[int]]]:
    """Logits [B, V] of the last rows and greedy answers, from stock transformers as one batch."""
    cache = DynamicCache(config=model.config)
    first = logits = model(torch.tensor(prompts), past_key_values=cache).logits[:, -1]
    answers = [logits.argmax(-1)]
    while len(answers) < count:
        logits = model(answers[-1][:, None], past_key_values=cache).logits[:, -1]
        answers.append(logits.argmax(-1))
    return first, torch.stack(answers, 1).tolist()


def greedy(result: Prefilled, count: int) -> list[int]:
    tokens = [int(result.logits.argmax())]
    while len(tokens) < count:
        tokens.append(int(result.extend(tokens[-1:])[-1].argmax()))
    return tokens


def test_exact_mode_reuses_prefix_and_first_chunk_exactly(
    engine: ReuseEngine,
    plain_model: PreTrainedModel,
    chunks: list[tuple[int, ...]],
    segments: list[Segment],
) -> None:
    store_all(engine, chunks)
    result = prefill(engine, segments, ReuseOptions(mode="exact"))
    full = plain_logits(plain_model, ids_of(segments))[-1]
    assert kl(full, result.logits) <= 1e-8
    assert result.report.tokens.exact_prefix == len(segments[0].token_ids) + len(chunks[0])
    assert result.report.tokens.reused == result.report.tokens.recomputed == 0


def test_a_single_chunk_needs_no_repair(
    engine: ReuseEngine, plain_model: PreTrainedModel, chunks: list[tuple[int, ...]]
) -> None:
    store_all(engine, chunks[:1])
    segments = prompt_of(chunks[:1])
    result = prefill(engine, segments, NONE)
    assert kl(plain_logits(plain_model, ids_of(segments))[-1], result.logits) <= 1e-8
    assert result.report.tokens.fresh == len(segments[-1].token_ids)


def test_off_mode_is_a_plain_prefill(
    engine: ReuseEngine, plain_model: PreTrainedModel, segments: list[Segment]
) -> None:
    result = prefill(engine, segments, ReuseOptions(mode="off"))
    assert torch.allclose(result.logits, plain_logits(plain_model, ids_of(segments))[-1], atol=1e-4)
    assert result.report.tokens.fresh == result.report.tokens.prompt


def test_reuse_without_repair_drifts_and_repair_reduces_it(
    engine: ReuseEngine,
    plain_model: PreTrainedModel,
    chunks: list[tuple[int, ...]],
    segments: list[Segment],
) -> None:
    """Were nothing reused, or were it reused exactly, this would be zero."""
    store_all(engine, chunks)
    full = plain_logits(plain_model, ids_of(segments))[-1]
    drift = [
        kl(full, prefill(engine, segments, ReuseOptions(policy="question", ratio=r)).logits)
        for r in (0.0, 0.9)
    ]
    assert drift[0] > 1e-6
    assert drift[1] < drift[0]


def test_every_order_uses_the_same_entries(
    engine: ReuseEngine,
    plain_model: PreTrainedModel,
    store: KVStore,
    chunks: list[tuple[int, ...]],
) -> None:
    """P8."""
    store_all(engine, chunks[:3])
    entries = store.stats().tiers[1].entries
    for order in permutations(chunks[:3]):
        segments = prompt_of(list(order))
        result = prefill(engine, segments, ALL)
        assert result.report.tokens.fresh == len(segments[-1].token_ids)
        assert kl(plain_logits(plain_model, ids_of(segments))[-1], result.logits) <= 1e-8
    assert store.stats().tiers[1].entries == entries


def test_serving_changes_no_stored_tensor(
    engine: ReuseEngine, store: KVStore, chunks: list[tuple[int, ...]], segments: list[Segment]
) -> None:
    """P6: digests before and after; two requests in turns equal the same two in sequence."""
    store_all(engine, chunks)
    other = prompt_of(list(reversed(chunks)))
    options = ReuseOptions(policy="question", ratio=0.3)
    alone = [greedy(prefill(engine, s, options), 8) for s in (segments, other)]
    before = digests(engine, chunks)
    first, second = prefill(engine, segments, options), prefill(engine, other, options)
    tokens: list[list[int]] = [[int(r.logits.argmax())] for r in (first, second)]
    for _ in range(7):
        for result, so_far in zip((first, second), tokens, strict=True):
            so_far.append(int(result.extend(so_far[-1:])[-1].argmax()))
    assert tokens == alone
    assert digests(engine, chunks) == before


def digests(engine: ReuseEngine, chunks: list[tuple[int, ...]]) -> list[str]:
    encodings: tuple[Encoding, ...] = ("head", "primed")
    entries = [
        engine.store.lookup(
            chunk.token_ids, find_encoding(encoding).key_context(engine.frame, chunk)
        ).entry
        for chunk in chunk_segments(chunks)
        for encoding in encodings
    ]
    return [
        hashlib.sha256(e.keys.numpy().tobytes() + e.values.numpy().tobytes()).hexdigest()
        for e in entries
        if e is not None
    ]


@pytest.mark.parametrize("family", ["llama", "gemma3"], indirect=True)
@pytest.mark.parametrize("policy", ["random", "seam", "value_deviation", "question"])
def test_policies_spend_exactly_their_budget(
    engine: ReuseEngine, chunks: list[tuple[int, ...]], segments: list[Segment], policy: str
) -> None:
    store_all(engine, chunks)
    result = prefill(engine, segments, ReuseOptions(policy=policy, ratio=0.15))
    counts = result.report.tokens
    reusable = sum(len(ids) for ids in chunks[1:])
    assert counts.recomputed == -(-reusable * 15 // 100)
    assert counts.reused + counts.recomputed == reusable
    assert counts.prompt == counts.exact_prefix + counts.reused + counts.recomputed + counts.fresh


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_missing_chunks_are_computed_and_say_so(
    engine: ReuseEngine, plain_model: PreTrainedModel, chunks: list[tuple[int, ...]]
) -> None:
    store_all(engine, [chunks[0], chunks[2]])
    segments = prompt_of(chunks)
    result = prefill(engine, segments, ReuseOptions(policy="question", ratio=0.2))
    actions = [(s.action, s.reason) for s in result.report.segments]
    assert actions == [
        ("exact", reasons.EXACT_PREFIX),
        ("exact", reasons.FIRST_CHUNK),
        ("computed", reasons.NOT_STORED),
        ("reused", reasons.REUSED_PRIMED),
        ("computed", reasons.NOT_STORED),
        ("computed", reasons.QUESTION),
    ]
    full = plain_logits(plain_model, ids_of(segments))[-1]
    assert kl(full, prefill(engine, segments, ALL).logits) <= 1e-8


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_a_model_that_is_not_proven_gets_exact_reuse_only_or_nothing(
    engine: ReuseEngine, chunks: list[tuple[int, ...]], segments: list[Segment]
) -> None:
    store_all(engine, chunks)
    engine.refusal = reasons.MODEL_NOT_PROVEN
    report = prefill(engine, segments, ReuseOptions()).report
    assert report.reason == reasons.MODEL_NOT_PROVEN
    assert report.tokens.reused == report.tokens.recomputed == 0
    assert report.tokens.exact_prefix > 0
    engine.refusal = reasons.EXACT_NOT_PROVEN
    report = prefill(engine, segments, ReuseOptions(mode="exact")).report
    assert report.reason == reasons.EXACT_NOT_PROVEN
    assert report.tokens.fresh == report.tokens.prompt
    ballot = engine.vote([segments], ReuseOptions(), max_tokens=1)
    assert ballot.reports[0].tokens.fresh == ballot.reports[0].tokens.prompt


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_what_was_damaged_is_encoded_again(
    engine: ReuseEngine, tmp_path: Path, chunks: list[tuple[int, ...]], segments: list[Segment]
) -> None:
    store_all(engine, chunks)
    for path in (tmp_path / "kv").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    damaged = prefill(engine, segments, ReuseOptions()).report
    assert reasons.CORRUPT in {s.reason for s in damaged.segments}
    assert engine.repair(segments, damaged) > 0
    assert engine.repair(segments, prefill(engine, segments, ReuseOptions()).report) == 0
    whole = prefill(engine, segments, ReuseOptions()).report
    assert whole.tokens.fresh == len(segments[-1].token_ids)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
@pytest.mark.parametrize(
    "options", [ReuseOptions(policy="best"), ReuseOptions(ratio=1.5), ReuseOptions(ratio=-0.1)]
)
def test_bad_options_are_refused(
    engine: ReuseEngine, segments: list[Segment], options: ReuseOptions
) -> None:
    with pytest.raises(InvalidReuse):
        prefill(engine, segments, options)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_precompute_stores_each_chunk_once(
    engine: ReuseEngine, chunks: list[tuple[int, ...]]
) -> None:
    first = list(engine.precompute(chunk_segments([*chunks, chunks[0]])))
    assert sum(r.stored for r in first) == len(chunks)
    again = list(engine.precompute(chunk_segments(chunks)))
    assert sum(r.already for r in again) == len(chunks)
    assert sum(r.stored for r in again) == 0
