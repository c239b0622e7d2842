"""First-token time of the three modes on the same prompts, warm store (`larder bench ttft`).

Passages are random token ids: time depends on their number, not on what they say.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.bench_model import Bench
from kvstore.config import ReuseConfig
from kvstore.reuse import ReuseEngine
from kvstore.types import ReuseOptions, Segment

QUESTION = "What does the second passage say about the first, and where do the two disagree?"
POOL = 2  # passages in the store per passage in a prompt, so that every prompt is another one


@dataclass(frozen=True, slots=True)
class TtftArm:
    mode: str
    options: ReuseOptions
    by_layer: bool = False  # stored rows placed while the first forward runs


def make_arms(policy: str, ratios: Sequence[float], *, by_layer: bool = False) -> list[TtftArm]:
    """With `by_layer` each ratio also has its rows placed layer by layer."""
    arms = [
        TtftArm("off", ReuseOptions(mode="off")),
        TtftArm("exact", ReuseOptions(mode="exact")),
    ]
    return arms + [
        TtftArm("auto", ReuseOptions(mode="auto", policy=policy, ratio=ratio), way)
        for ratio in ratios
        for way in (False, True)[: 1 + by_layer]
    ]


def bench_ttft(
    bench: Bench,
    arms: Sequence[TtftArm],
    *,
    chunks: int,
    chunk_tokens: int,
    requests: int,
    progress: Callable[[], None],
) -> list[dict[str, object]]:
    """One row an arm. Modes take turns on every prompt, so drift of the machine hits all alike."""
    engines = {way: bench.engine(ReuseConfig(layerwise=way)) for way in (False, True)}
    prompts = _prompts(bench, chunks, chunk_tokens, requests)
    _warm(engines[False], prompts)
    times: dict[TtftArm, list[float]] = {arm: [] for arm in arms}
    for prompt in prompts:
        for arm in arms:
            times[arm].append(_first_token_ms(engines[arm.by_layer], prompt, arm.options))
        progress()
    slowest = statistics.median(times[arms[0]])
    return [
        {
            "mode": arm.mode,
            "policy": arm.options.policy if arm.mode == "auto" else None,
            "ratio": arm.options.ratio,
            "placed": "by layer" if arm.by_layer else "whole",
            "dtype": str(bench.runner.dtype).removeprefix("torch."),
            "prompt_tokens": sum(len(s.token_ids) for s in prompts[0]),
            "ttft_ms_p50": statistics.median(times[arm]),
            "ttft_ms_p95": float(np.percentile(times[arm], 95)),
            "times_below_off": slowest / statistics.median(times[arm]),
            "n": len(times[arm]),
        }
        for arm in arms
    ]


def _first_token_ms(engine: ReuseEngine, prompt: Sequence[Segment], options: ReuseOptions) -> float:
    capacity = sum(len(s.token_ids) for s in prompt) + 64
    started = time.perf_counter()
    prefilled = engine.prefill(prompt, options, capacity=capacity)
    int(prefilled.logits.argmax())
    taken_ms = (time.perf_counter() - started) * 1000
    prefilled.release()  # as a server does
    return taken_ms


def _prompts(bench: Bench, chunks: int, chunk_tokens: int, count: int) -> list[list[Segment]]:
    draw = random.Random(0)
    template = bench.template
    ids = range(100, template.tokenizer.num_ids - 100)
    pool = [tuple(draw.choices(ids, k=chunk_tokens)) for _ in range(POOL * chunks)]
    return [
        [
            Segment("prefix", template.frame.prefix),
            *(Segment("chunk", passage) for passage in draw.sample(pool, chunks)),
            Segment("question", template.encode_question(QUESTION)),
        ]
        for _ in range(count)
    ]


def _warm(engine: ReuseEngine, prompts: Sequence[Sequence[Segment]]) -> None:
    """Store every passage, read each into RAM once, and run the model once."""
    engine.prepare()
    passages = dict.fromkeys(s for prompt in prompts for s in prompt if s.kind == "chunk")
    for _ in engine.precompute(list(passages)):
        pass
    for prompt in prompts:
        engine.plan(prompt, ReuseOptions())
    _first_token_ms(engine, prompts[0], ReuseOptions(ratio=0.05))
