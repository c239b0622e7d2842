"""What asking each source alone costs (`larder bench vote`): over stored KV, side by side, against
a full prefill of each.

Every arm answers the same prompts greedily. Answers are compared token by token.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.answer.short_answers import INSTRUCTION
from app.errors import InvalidValue
from app.evaluation.bench_model import Bench
from kvstore.config import ReuseConfig
from kvstore.reuse import ReuseEngine
from kvstore.types import ReuseOptions, Segment

MAX_SOURCES = 8  # of one question, as many as a vote asks at once
MAX_PASSAGE_TOKENS = 400  # a chunk's most

OFF, EXACT = ReuseOptions(mode="off"), ReuseOptions(mode="exact")

Prompt = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class VoteCase:
    """A question, and what each source shows for it."""

    question: str
    texts: tuple[str, ...]


@dataclass(slots=True)
class _Arm:
    """Sums over questions."""

    name: str
    prompt_tokens: int = 0
    cached: int = 0
    generated: int = 0
    seconds: list[float] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)


def load_vote_cases(path: Path, file_format: str, count: int, seed: int) -> list[VoteCase]:
    """`count` questions drawn with `seed`. Raises InvalidValue for a bad file."""
    if file_format != "ramdocs":
        raise InvalidValue(f"unknown format {file_format!r}; known: ramdocs")
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        cases = [
            VoteCase(line["question"], tuple(document["text"] for document in line["documents"]))
            for line in lines
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} is not a RAMDocs file: {error!r}") from error
    random.Random(seed).shuffle(cases)
    return cases[:count]


def bench_vote(
    bench: Bench, cases: Sequence[VoteCase], *, answer_tokens: int, progress: Callable[[], None]
) -> list[dict[str, object]]:
    """One row an arm: `full` one source after the other, nothing reused; `full_batched` side by
    side, nothing reused; `vote` side by side over stored KV. They take turns on each question."""
    engine = bench.engine(ReuseConfig(encodings=("head",)))  # all that a vote needs
    engine.prepare()
    arms = [_Arm("full"), _Arm("full_batched"), _Arm("vote")]
    sources = 0
    for case in cases:
        prompts = _prompts(bench, case)
        sources += len(prompts)
        for _ in engine.precompute([prompt[1] for prompt in prompts]):
            pass
        _one_by_one(arms[0], bench, engine, prompts, answer_tokens)
        for arm, options in zip(arms[1:], (OFF, EXACT), strict=True):
            _side_by_side(arm, bench, engine, prompts, options, answer_tokens)
        progress()
    return [_row(arm, arms[0], len(cases), sources) for arm in arms]


def _row(arm: _Arm, full: _Arm, questions: int, sources: int) -> dict[str, object]:
    computed = arm.prompt_tokens - arm.cached + arm.generated
    full_computed = full.prompt_tokens + full.generated
    same = sum(a == b for a, b in zip(arm.answers, full.answers, strict=True))
    return {
        "mode": arm.name,
        "sources": sources / questions,
        "prompt_tokens": arm.prompt_tokens / questions,
        "generated": arm.generated / questions,
        "computed_tokens": computed / questions,
        "share_from_caches": arm.cached / arm.prompt_tokens,
        "computed_of_full": computed / full_computed,
        "ms_p50": 1000 * statistics.median(arm.seconds),
        "times_below_full": statistics.median(full.seconds) / statistics.median(arm.seconds),
        "same_answers": same / len(full.answers),
        "n": questions,
    }


def _prompts(bench: Bench, case: VoteCase) -> list[Prompt]:
    template = bench.template
    question = template.encode_question(f"{case.question}\n{INSTRUCTION}")
    texts = dict.fromkeys(case.texts)
    chunks = [template.encode_passage("", text)[:MAX_PASSAGE_TOKENS] for text in texts]
    return [
        (
            Segment("prefix", template.frame.prefix),
            Segment("chunk", chunk),
            Segment("question", question),
        )
        for chunk in chunks[:MAX_SOURCES]
    ]


def _one_by_one(
    arm: _Arm, bench: Bench, engine: ReuseEngine, prompts: Sequence[Prompt], limit: int
) -> None:
    started = time.perf_counter()
    for prompt in prompts:
        length = sum(len(segment.token_ids) for segment in prompt)
        result = engine.prefill(prompt, OFF, capacity=length + limit)
        token, answer = int(result.logits.argmax()), list[int]()
        while token not in bench.end_ids and len(answer) < limit:
            answer.append(token)
            if len(answer) < limit:
                token = int(result.extend([token])[-1].argmax())
        arm.prompt_tokens += length
        arm.generated += len(answer)
        arm.answers.append(answer)
    arm.seconds.append(time.perf_counter() - started)


def _side_by_side(
    arm: _Arm,
    bench: Bench,
    engine: ReuseEngine,
    prompts: Sequence[Prompt],
    options: ReuseOptions,
    limit: int,
) -> None:
    started = time.perf_counter()
    ballot = engine.vote(prompts, options, max_tokens=limit)
    answers: list[list[int]] = [[] for _ in prompts]
    while ballot.open:
        tokens = dict(zip(ballot.open, ballot.logits.argmax(-1).tolist(), strict=True))
        for branch, token in tokens.items():
            if token not in bench.end_ids:
                answers[branch].append(token)
            if token in bench.end_ids or len(answers[branch]) >= limit:
                ballot.close(branch)
        if ballot.open:
            ballot.extend([tokens[branch] for branch in ballot.open])
    arm.seconds.append(time.perf_counter() - started)
    arm.prompt_tokens += sum(report.tokens.prompt for report in ballot.reports)
    arm.cached += sum(report.tokens.exact_prefix for report in ballot.reports)
    arm.generated += sum(map(len, answers))
    arm.answers += answers
