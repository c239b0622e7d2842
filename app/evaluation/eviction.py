"""What each eviction rule would have kept of real prompts (`larder bench eviction`).

A trace is the prompts of an evaluation set's questions in an order in which some questions come
again and again (Zipf's law). Nothing is computed: bytes and seconds are the bundled model's.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue
from app.evaluation.datasets import LabelledText, Layout, Passage, load_cases
from kvstore.eviction import EVICTIONS, new_eviction
from kvstore.replay import Use, replay

CHARACTERS_A_TOKEN = 4.2  # English under the bundled model's tokenizer
BYTES_A_TOKEN = 23_040  # its KV in bf16
SECONDS_A_TOKEN, SECONDS_A_TOKEN_SQUARED = 0.7e-3, 0.1e-6  # its full prefill on two cores
CONTEXT_IMPACT = (
    0.3  # share to recompute of a passage whose stored context is nowhere in the prompt
)

Prompt = list[Passage]


@dataclass(frozen=True, slots=True)
class EvictionRequest:
    requests: int
    passages: int
    skew: float
    budgets: tuple[float, ...]  # shares of the bytes of all passages
    seeds: int
    shifts: int = 0  # how often other questions become the popular ones


def bench_eviction(
    paths: Sequence[Path], formats: Sequence[str], request: EvictionRequest
) -> list[dict[str, object]]:
    """One row a set, budget and rule: means over the seeds."""
    if len(paths) != len(formats):
        raise InvalidValue(f"{len(paths)} sets but {len(formats)} formats; name one a set")
    rows: list[dict[str, object]] = []
    for path, file_format in zip(paths, formats, strict=True):
        traces = [
            make_trace(load_prompts(path, file_format, request.passages, seed), request, seed)
            for seed in range(request.seeds)
        ]
        for share in request.budgets:
            rows += [_row(file_format, share, rule, traces) for rule in EVICTIONS]
    return rows


def load_prompts(path: Path, file_format: str, passages: int, seed: int) -> list[Prompt]:
    """The passages of each question's prompt, in order. Raises InvalidValue."""
    if file_format == "ramdocs":
        return _load_ramdocs(path, passages)
    cases = load_cases(path, file_format, 10**9, layout=Layout(passages), seed=seed)
    return [list(case.passages) for case in cases]


def make_trace(prompts: Sequence[Prompt], request: EvictionRequest, seed: int) -> list[Use]:
    """Uses of the passages of `requests` prompts; the n-th question is asked 1/n^skew times as
    often as the first, and which are the first changes `shifts` times."""
    draw = random.Random(seed)
    order = list(prompts)
    weights = [1 / (rank + 1) ** request.skew for rank in range(len(order))]
    chosen: list[Prompt] = []
    for part in range(request.shifts + 1):
        draw.shuffle(order)
        until = request.requests * (part + 1) // (request.shifts + 1)
        chosen += draw.choices(order, weights, k=until - len(chosen))
    return [use for prompt in chosen for use in _uses(prompt)]


def fix_overhead(prompt: Sequence[Passage], place: int) -> float:
    """Cache-Craft's share to recompute, with a constant context impact: none for the first passage,
    which is exact; else by how much of what the entry was stored behind stands before it here."""
    if place == 0:
        return 0.0
    stored_behind = {primer.text for primer in prompt[place].primers}
    before = {passage.shown.text for passage in prompt[:place]}
    overlap = len(stored_behind & before) / len(stored_behind) if stored_behind else 0.0
    return CONTEXT_IMPACT * (1 - overlap)


def _uses(prompt: Sequence[Passage]) -> Iterable[Use]:
    for place, passage in enumerate(prompt):
        text = f"{passage.shown.label}\n{passage.shown.text}"
        num_tokens = max(1, round(len(text) / CHARACTERS_A_TOKEN))
        seconds = num_tokens * (SECONDS_A_TOKEN + SECONDS_A_TOKEN_SQUARED * num_tokens)
        overhead = fix_overhead(prompt, place)
        yield Use(text, num_tokens, num_tokens * BYTES_A_TOKEN, seconds, overhead)


def _row(
    file_format: str, share: float, rule: str, traces: Sequence[Sequence[Use]]
) -> dict[str, object]:
    hit_tokens = tokens = 0
    saved = seconds = 0.0
    for trace in traces:
        everything = {use.entry: use.num_bytes for use in trace}
        figures = replay(trace, new_eviction(rule), int(share * sum(everything.values())))
        hit_tokens += figures.hit_tokens
        tokens += figures.tokens
        saved += figures.saved_seconds
        seconds += figures.seconds
    return {
        "format": file_format,
        "budget": share,
        "rule": rule,
        "hit_tokens": hit_tokens / tokens,
        "seconds_saved": saved / seconds,
        "seconds": saved / len(traces),
        "uses": len(traces[0]),
        "passages": len({use.entry for use in traces[0]}),
    }


def _load_ramdocs(path: Path, passages: int) -> list[Prompt]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [
            [
                Passage(LabelledText("", document["text"]))
                for document in line["documents"][:passages]
            ]
            for line in lines
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} is not a RAMDocs file: {error!r}") from error
