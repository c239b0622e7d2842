"""How far reuse moves the model: drift from the full prefill, policy by policy (kv_reuse.md 5.11).

Every arm sees the same token list. Drift is measured teacher-forced on the full prefill's own
greedy answer; F1 compares each arm's own answer with the gold answers. All arms are paired.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from app.evaluation.bench_model import Bench
from app.evaluation.datasets import Passage, QuestionCase
from app.evaluation.statistics import bootstrap, token_f1
from kvstore.config import ReuseConfig
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.types import ChunkKV, Encoding, ReuseOptions, Segment

ENCODINGS = ("primed", "head")
# Prompts computed exactly before a question is measured, as the source of its variants: as many as
# Cache-Craft keeps contexts for a chunk.
NUM_HISTORY = 3
# Gold answers are a few words long, and an arm's own tokens cost a forward each (0.1 s).
F1_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Arm:
    """`encoding`: one, or several in order of preference joined by `+`, as they are served."""

    encoding: str
    policy: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One arm on one question."""

    kl: float  # mean over the answer's tokens, nats
    top1_agreement: float
    f1: float
    recomputed_share: float  # of the stored tokens that are not exact


@dataclass(frozen=True, slots=True)
class Reference:
    """The full prefill: its greedy answer and the distributions along it [answer tokens, V]."""

    answer: tuple[int, ...]
    log_probs: torch.Tensor


def make_arms(
    policies: Sequence[str], ratios: Sequence[float], encodings: Sequence[str] = ENCODINGS
) -> list[Arm]:
    """`none` once per encoding, `all` once (it reads nothing stored), others at every ratio."""
    arms = []
    for encoding in encodings:
        for policy in policies:
            if policy == "all" and encoding != encodings[0]:
                continue
            fixed = {"none": [0.0], "all": [1.0]}.get(policy)
            arms += [Arm(encoding, policy, ratio) for ratio in fixed or ratios]
    return arms


def parts_of(name: str) -> tuple[Encoding, ...]:
    return cast(tuple[Encoding, ...], tuple(name.split("+")))  # engines check the names


class ReuseEvaluation:
    """Every encoding has an engine of its own over one store, so that no arm falls back on
    another's rows."""

    def __init__(
        self,
        bench: Bench,
        answer_tokens: int,
        encodings: Sequence[str] = ENCODINGS,
        keep_share: float = 1.0,
    ) -> None:
        self._bench = bench
        self._answer_tokens = answer_tokens
        self._engines: dict[str, ReuseEngine] = {
            name: bench.engine(ReuseConfig(encodings=parts_of(name), keep_share=keep_share))
            for name in encodings
        }

    def run(
        self, cases: Sequence[QuestionCase], arms: Sequence[Arm], progress: Callable[[], None]
    ) -> dict[Arm, list[Outcome]]:
        """Outcomes per arm in the order of `cases`; `progress` is called after each case."""
        outcomes: dict[Arm, list[Outcome]] = {arm: [] for arm in arms}
        for number, case in enumerate(cases):
            segments = self.prepare(case, number)
            reference = self.reference(segments)
            for arm in arms:
                outcomes[arm].append(self._measure(arm, segments, reference, case, number))
            progress()
        return outcomes

    def engine(self, encoding: str) -> ReuseEngine:
        return self._engines[encoding]

    def prepare(self, case: QuestionCase, seed: int) -> list[Segment]:
        """The prompt, P, chunks, Q, with every chunk stored in every encoding."""
        segments = self._segments(case)
        self._store(segments, seed)
        return segments

    def sample(self, case: QuestionCase) -> ChunkKV | None:
        """A stored entry of the case's last passage, None where nothing was stored."""
        segments = self._segments(case)
        engine = next(iter(self._engines.values()))
        return engine.plan(segments, ReuseOptions()).segments[-2].entry

    def _segments(self, case: QuestionCase) -> list[Segment]:
        template = self._bench.template
        return [
            Segment("prefix", template.frame.prefix),
            *(self._chunk(passage) for passage in case.passages),
            Segment("question", template.encode_question(case.question)),
        ]

    def _chunk(self, passage: Passage) -> Segment:
        encode = self._bench.template.encode_passage
        primers = tuple(encode(text.label, text.text) for text in passage.primers)
        return Segment("chunk", encode(passage.shown.label, passage.shown.text), primers)

    def _store(self, segments: Sequence[Segment], seed: int) -> None:
        chunks = [s for s in segments if s.kind == "chunk"]
        for encoding, engine in self._engines.items():
            engine.prepare()
            for _ in engine.precompute(chunks, evict=True):
                pass
            if "variant" in parts_of(encoding):
                self._make_history(engine, segments, chunks, random.Random(seed))

    def _make_history(
        self,
        engine: ReuseEngine,
        segments: Sequence[Segment],
        chunks: Sequence[Segment],
        draw: random.Random,
    ) -> None:
        """Earlier prompts with these passages in other orders, one more of them at the front."""
        for _ in range(NUM_HISTORY):
            order = draw.sample(chunks, len(chunks))
            neutral = Segment("chunk", self._bench.template.frame.primers[0])
            engine.capture([segments[0], neutral, *order])

    def reference(self, segments: Sequence[Segment]) -> Reference:
        """The full prefill of a prompt and its greedy answer."""
        engine = next(iter(self._engines.values()))
        prefilled = self._prefill(engine, segments, ReuseOptions(mode="off"))
        answer, rows = [], []
        for token, logits in self._greedy(prefilled):
            answer.append(token)
            rows.append(logits)
        return Reference(tuple(answer), torch.stack(rows).double().log_softmax(-1))

    def _measure(
        self,
        arm: Arm,
        segments: Sequence[Segment],
        reference: Reference,
        case: QuestionCase,
        seed: int,
    ) -> Outcome:
        options = ReuseOptions(mode="auto", policy=arm.policy, ratio=arm.ratio)
        prefilled = self._prefill(self._engines[arm.encoding], segments, options, seed)
        log_probs = self._follow(prefilled, reference.answer).double().log_softmax(-1)
        kl = (reference.log_probs.exp() * (reference.log_probs - log_probs)).sum(-1)
        agrees = log_probs.argmax(-1) == reference.log_probs.argmax(-1)
        answer = self._own_answer(prefilled, reference.answer, log_probs)
        tokens = prefilled.report.tokens
        stored = tokens.reused + tokens.recomputed
        return Outcome(
            kl=float(kl.mean()),
            top1_agreement=float(agrees.double().mean()),
            f1=token_f1(self._text(answer), case.answers),
            recomputed_share=tokens.recomputed / stored if stored else 0.0,
        )

    def _own_answer(
        self, prefilled: Prefilled, reference: Sequence[int], log_probs: torch.Tensor
    ) -> list[int]:
        """The first F1_TOKENS of the arm's greedy answer: the reference's up to where the two
        part, then its own."""
        greedy = log_probs.argmax(-1).tolist()
        same = 0
        while same < len(reference) and greedy[same] == reference[same]:
            same += 1
        if same == len(reference) or same >= F1_TOKENS:
            return list(reference[:F1_TOKENS])
        prefilled.drop(len(reference) - 1 - same)
        answer = [*reference[:same], greedy[same]]
        while len(answer) < F1_TOKENS and answer[-1] not in self._bench.end_ids:
            answer.append(int(prefilled.extend(answer[-1:])[-1].argmax()))
        return answer

    def _prefill(
        self,
        engine: ReuseEngine,
        segments: Sequence[Segment],
        options: ReuseOptions,
        seed: int = 0,
    ) -> Prefilled:
        capacity = sum(len(s.token_ids) for s in segments)
        capacity += max(self._answer_tokens, F1_TOKENS)
        return engine.prefill(segments, options, capacity=capacity, seed=seed)

    def _greedy(self, prefilled: Prefilled) -> Iterator[tuple[int, torch.Tensor]]:
        """(token, logits it was chosen from), the end token included."""
        logits = prefilled.logits
        for position in range(self._answer_tokens):
            token = int(logits.argmax())
            yield token, logits
            if token in self._bench.end_ids or position + 1 == self._answer_tokens:
                return
            logits = prefilled.extend([token])[-1]

    def _follow(self, prefilled: Prefilled, answer: Sequence[int]) -> torch.Tensor:
        """Logits [len(answer), V] before each token of a given answer."""
        first = prefilled.logits[None]
        return torch.cat([first, prefilled.extend(answer[:-1])]) if len(answer) > 1 else first

    def _text(self, answer: Sequence[int]) -> str:
        kept = [token for token in answer if token not in self._bench.end_ids]
        return self._bench.template.tokenizer.decode(kept)


def summarise(outcomes: dict[Arm, list[Outcome]]) -> list[dict[str, object]]:
    """One flat row an arm; `vs_random` is the paired difference in KL at the same ratio."""
    rows = []
    for arm, results in outcomes.items():
        kl = bootstrap([r.kl for r in results])
        row: dict[str, object] = {
            "policy": arm.policy,
            "encoding": arm.encoding,
            "ratio": arm.ratio,
            "kl_mean": kl.mean,
            "kl_low": kl.low,
            "kl_high": kl.high,
            "top1_agreement": _mean(r.top1_agreement for r in results),
            "f1": _mean(r.f1 for r in results),
            "recomputed_share": _mean(r.recomputed_share for r in results),
            "n": len(results),
        }
        control = outcomes.get(Arm(arm.encoding, "random", arm.ratio))
        if control is not None and arm.policy != "random":
            difference = bootstrap([a.kl - b.kl for a, b in zip(results, control, strict=True)])
            row |= {"vs_random": difference.mean, "vs_random_high": difference.high}
        rows.append(row)
    return rows


def _mean(values: Iterator[float]) -> float:
    collected = list(values)
    return sum(collected) / len(collected)
