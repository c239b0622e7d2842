"""The bias of a chunk: nothing added is nothing changed, and minus infinity is a masked chunk."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from kvstore.encodings import find_encoding
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.types import ReuseOptions, Segment
from tests.support.tiny_models import chunk_segments, ids_of

OFF, NONE = ReuseOptions(mode="off"), ReuseOptions(policy="none", ratio=0.0)
ALL, SOME = ReuseOptions(policy="all", ratio=1.0), ReuseOptions(ratio=0.3)
PLACE = 2  # of the biased segment: the second chunk
STEPS = 5

few = pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"], indirect=True)


def biased(segments: Sequence[Segment], bias: float, place: int = PLACE) -> list[Segment]:
    return [replace(s, bias=bias) if n == place else s for n, s in enumerate(segments)]


def run(engine: ReuseEngine, segments: list[Segment], options: ReuseOptions) -> torch.Tensor:
    """Logits [STEPS, V] before each greedy token."""
    result: Prefilled = engine.prefill(segments, options, capacity=len(ids_of(segments)) + STEPS)
    rows = [result.logits]
    while len(rows) < STEPS:
        rows.append(result.extend([int(rows[-1].argmax())])[-1])
    return torch.stack(rows)


@few
@pytest.mark.parametrize("options", [OFF, NONE, SOME], ids=["off", "stored", "repaired"])
def test_no_bias_is_bit_for_bit_what_it_was(
    engine: ReuseEngine, segments: list[Segment], options: ReuseOptions
) -> None:
    list(engine.precompute([s for s in segments if s.kind == "chunk"]))
    assert torch.equal(run(engine, segments, options), run(engine, biased(segments, 0.0), options))


@pytest.mark.parametrize("family", ["llama", "qwen3"], indirect=True)
def test_minus_infinity_is_a_masked_chunk(
    engine: ReuseEngine, plain_model: PreTrainedModel, segments: list[Segment]
) -> None:
    """Against stock transformers under its own 4D mask, in prefill and in each decoding step."""
    list(engine.precompute([s for s in segments if s.kind == "chunk"]))
    mine = run(engine, biased(segments, -math.inf), OFF)
    ids = ids_of(segments) + mine.argmax(-1).tolist()[:-1]
    start = sum(len(s.token_ids) for s in segments[:PLACE])
    end = start + len(segments[PLACE].token_ids)
    mask = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    mask[end:, start:end] = -math.inf
    with torch.inference_mode():
        logits = plain_model(torch.tensor([ids]), attention_mask=mask[None, None]).logits[0]
    assert torch.allclose(mine, logits[-STEPS:], atol=1e-4)
    assert torch.allclose(run(engine, biased(segments, -math.inf), ALL), mine, atol=1e-4)


@few
def test_a_masked_chunk_says_nothing_to_what_comes_later(
    engine: ReuseEngine, segments: list[Segment], chunks: list[tuple[int, ...]]
) -> None:
    """Other words of the same length in its place change no logit, stored or computed."""
    others = list(segments)
    others[PLACE] = Segment("chunk", tuple(reversed(chunks[PLACE - 1])))
    list(engine.precompute([s for s in [*segments, others[PLACE]] if s.kind == "chunk"]))
    for options in (OFF, NONE):
        one, other = (run(engine, biased(s, -math.inf), options) for s in (segments, others))
        assert torch.equal(one, other)
        loud, other_loud = (run(engine, s, options) for s in (segments, others))
        assert not torch.equal(loud, other_loud)


@few
def test_a_bias_leaves_what_is_stored_alone(
    engine: ReuseEngine, segments: list[Segment], chunks: list[tuple[int, ...]]
) -> None:
    list(engine.precompute(chunk_segments(chunks)))
    context = find_encoding("head").key_context(engine.frame, Segment("chunk", chunks[0]))
    entry = engine.store.lookup(chunks[0], context).entry
    assert entry is not None
    before = (entry.keys.clone(), entry.values.clone())
    quiet = run(engine, biased(segments, -2.0, place=1), NONE)
    assert not torch.equal(quiet, run(engine, segments, NONE))
    assert torch.equal(before[0], entry.keys)
    assert torch.equal(before[1], entry.values)
