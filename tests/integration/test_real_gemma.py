"""Gemma 3 270M with its real weights in fp32: the proofs, and reuse against stock transformers.

Its layers see 512 tokens or all of them and turn keys with two RoPE bases, and prompts here are
longer than that window. Skipped, with a reason, where the model is not installed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from app.decoder.load import read_model
from kvstore.cache import ScatterCache
from kvstore.frame import Frame
from kvstore.proofs import prove
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.types import ReuseOptions, Segment
from tests.support.gemma_model import MISSING, gemma_model, is_installed
from tests.support.real_engine import open_engine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_installed(), reason=MISSING)]

WINDOW = 512
CHUNK, NUM_CHUNKS, QUESTION = 170, 3, 20  # 561 tokens with P: beyond the window
STEPS = 8
TOLERANCE = 1e-4  # of rows and logits, relative to their largest value


def draw(count: int, seed: int) -> tuple[int, ...]:
    """Ids above Gemma's special tokens."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(300, 250_000, (count,), generator=generator).tolist())


FRAME = Frame(draw(31, 1), (draw(24, 2), draw(24, 3)))
CHUNKS = [Segment("chunk", draw(CHUNK, 10 + n)) for n in range(NUM_CHUNKS)]
PROMPT = [Segment("prefix", FRAME.prefix), *CHUNKS, Segment("question", draw(QUESTION, 50))]
IDS = [token for segment in PROMPT for token in segment.token_ids]
FIRST_CHUNK_END = len(FRAME.prefix) + CHUNK


@dataclass(frozen=True, slots=True)
class Plain:
    """What stock transformers makes of the prompt: rows, and logits before each greedy token."""

    keys: list[torch.Tensor]  # a layer's [G, N, D], rotated
    values: list[torch.Tensor]
    logits: torch.Tensor  # [STEPS, V]


@dataclass(frozen=True, slots=True)
class Parts:
    engine: ReuseEngine
    plain: Plain


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    folder = gemma_model()
    plain = run_stock(folder)
    engine = open_engine(read_model(folder, torch.float32), tmp_path_factory.mktemp("kv"), FRAME)
    assert all(report.reason is None for report in engine.precompute(CHUNKS))
    yield Parts(engine, plain)
    torch.set_num_threads(threads)


def run_stock(folder: object) -> Plain:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    cache, tokens, found = DynamicCache(), torch.tensor([IDS]), []
    with torch.inference_mode():
        while len(found) < STEPS:
            logits = model.eval()(tokens, past_key_values=cache, logits_to_keep=1).logits[0, -1]
            if not found:
                keys = [layer.keys[0].clone() for layer in cache.layers]
                values = [layer.values[0].clone() for layer in cache.layers]
            found.append(logits)
            tokens = logits.argmax().reshape(1, 1)
    return Plain(keys, values, torch.stack(found))


def prefill(parts: Parts, options: ReuseOptions) -> Prefilled:
    return parts.engine.prefill(PROMPT, options, capacity=len(IDS) + STEPS)


def cache_of(result: Prefilled) -> ScatterCache:
    cache = result.extend.keywords["cache"]  # type: ignore[attr-defined]
    assert isinstance(cache, ScatterCache)
    return cache


def deviation(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).abs().max() / want.abs().max())


def assert_is_plain(parts: Parts, result: Prefilled) -> None:
    """Rows of every layer, logits and greedy tokens."""
    cache, plain = cache_of(result), parts.plain
    for layer, (keys, values) in enumerate(zip(plain.keys, plain.values, strict=True)):
        assert deviation(cache.key_buffer[layer, 0, :, : len(IDS)], keys) <= TOLERANCE
        assert deviation(cache.value_buffer[layer, 0, :, : len(IDS)], values) <= TOLERANCE
    answer = plain.logits.argmax(-1).tolist()
    logits = torch.cat([result.logits[None], result.extend(answer[:-1])])
    assert deviation(logits, plain.logits) <= TOLERANCE
    assert logits.argmax(-1).tolist() == answer


def test_the_prompt_is_longer_than_the_window(parts: Parts) -> None:
    config = parts.engine.runner.model.config
    assert config.sliding_window == WINDOW < FIRST_CHUNK_END + 2 * CHUNK
    assert {"sliding_attention", "full_attention"} == set(config.layer_types)
    assert len(config.rope_parameters) == 2


def test_the_proofs_pass(parts: Parts) -> None:
    proofs = prove(parts.engine.runner, num_tokens=len(IDS))
    assert [proof.name for proof in proofs if not proof.passed] == [], proofs


def test_everything_recomputed_equals_stock_transformers(parts: Parts) -> None:
    result = prefill(parts, ReuseOptions(policy="all", ratio=1.0))
    counts = result.report.tokens
    assert (counts.reused, counts.recomputed) == (0, 2 * CHUNK)
    assert_is_plain(parts, result)


def test_the_first_chunk_is_exact(parts: Parts) -> None:
    """P and the first chunk from the store, the rest computed: still the stock model's answer."""
    result = prefill(parts, ReuseOptions(mode="exact"))
    counts = result.report.tokens
    assert counts.exact_prefix == FIRST_CHUNK_END
    assert counts.reused == counts.recomputed == 0
    assert_is_plain(parts, result)


def test_poisoned_rows_that_are_recomputed_are_never_read(parts: Parts) -> None:
    """NaN in the stored rows of the reused chunks; one that is not recomputed would show."""
    engine = parts.engine
    planned = engine.plan(PROMPT, ReuseOptions()).segments
    entries = [one.entry for one in planned if one.action == "reused" and one.entry is not None]
    assert len(entries) == NUM_CHUNKS - 1
    kept = [(entry.keys.clone(), entry.values.clone()) for entry in entries]
    for entry in entries:
        entry.keys.fill_(float("nan"))
        entry.values.fill_(float("nan"))
    try:
        assert_is_plain(parts, prefill(parts, ReuseOptions(policy="all", ratio=1.0)))
        reused = prefill(parts, ReuseOptions(policy="none", ratio=0.0))
        assert reused.logits.isnan().all()
    finally:
        for entry, (keys, values) in zip(entries, kept, strict=True):
            entry.keys.copy_(keys)
            entry.values.copy_(values)


def test_reuse_drifts_little_and_repair_lessens_it(parts: Parts) -> None:
    """Random ids say nothing of quality; that reuse is close at all says keys are where they
    belong. 0.02 with nothing anew."""
    drift = [
        kl(parts.plain.logits[0], prefill(parts, ReuseOptions(policy="question", ratio=r)).logits)
        for r in (0.0, 0.5)
    ]
    assert drift[1] <= drift[0] + 1e-6
    assert 0 < drift[0] < 1.0


def kl(full: torch.Tensor, other: torch.Tensor) -> float:
    p, q = full.double().log_softmax(-1), other.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum())
