"""Decode speed against stock transformers on the same weights (`larder bench decode`)."""

import statistics
import time
from collections.abc import Callable

import torch
from transformers import DynamicCache

from app.evaluation.bench_model import Bench


def bench_decode(
    bench: Bench, *, context: int, tokens: int, repeats: int, progress: Callable[[], None]
) -> list[dict[str, object]]:
    """Tokens a second behind `context` rows, batch 1; engines take turns, medians."""
    engines = {"larder": _larder, "transformers": _transformers}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(repeats):
        for name, run in engines.items():
            seconds[name].append(run(bench, context, tokens))
            progress()
    return [
        {
            "engine": name,
            "dtype": str(bench.runner.dtype).removeprefix("torch."),
            "batch": 1,
            "context": context,
            "tokens_per_s": tokens / statistics.median(seconds[name]),
        }
        for name in engines
    ]


def _prompt(bench: Bench, context: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(100, bench.template.tokenizer.num_ids, (context,), generator=generator)
    return ids.to(bench.runner.device)


def _larder(bench: Bench, context: int, tokens: int) -> float:
    runner = bench.runner
    cache = runner.new_cache(context + tokens)
    logits = runner.forward_all(_prompt(bench, context), cache)
    started = time.perf_counter()
    for _ in range(tokens):
        logits = runner.append([int(logits.argmax())], cache)[-1]
    return time.perf_counter() - started


@torch.inference_mode()
def _transformers(bench: Bench, context: int, tokens: int) -> float:
    model = bench.runner.model
    cache = DynamicCache(config=model.config)
    ids = _prompt(bench, context)[None]
    model.set_attn_implementation("sdpa")
    try:
        logits = model(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits[0, -1]
        started = time.perf_counter()
        for _ in range(tokens):
            step = logits.argmax()[None, None]
            logits = model(input_ids=step, past_key_values=cache).logits[0, -1]
        return time.perf_counter() - started
    finally:
        from kvstore.attention import ATTENTION_NAME

        model.set_attn_implementation(ATTENTION_NAME)
