"""Proofs P6 to P8 (kv_reuse.md 5.10): what a store has to keep true for one loaded model.

They run on a throw-away folder and token ids drawn at random, in seconds; proofs.py has P1 to P5.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import permutations
from pathlib import Path
from typing import cast

import torch

from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.encodings import find_encoding
from kvstore.frame import Frame
from kvstore.keys import ModelIdentity
from kvstore.memory_index import MemoryIndex
from kvstore.proofs import Proof, equal_logits
from kvstore.ram_tier import RamTier
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import Encoding, ReuseOptions, Segment

CHUNK_TOKENS = 24
QUESTION_TOKENS = 9
STEPS = 4  # greedy tokens compared
NAMESPACE = "proofs"
BUDGET = 10**9  # bytes of either tier; the entries take a few MB
ENCODINGS: tuple[Encoding, ...] = ("head", "primed")


@dataclass(frozen=True, slots=True)
class StoreTrial:
    """A model with a store of its own, three stored chunks, and what is asked behind them."""

    runner: ModelRunner
    identity: ModelIdentity
    folder: Path
    disk: DiskTier
    engine: ReuseEngine
    chunks: tuple[Segment, ...]
    question: Segment

    @classmethod
    def open(cls, runner: ModelRunner, identity: ModelIdentity, folder: Path) -> "StoreTrial":
        disk = DiskTier(folder, BUDGET, MemoryIndex())
        draw = _Drawing(runner)
        frame = Frame(draw(CHUNK_TOKENS), (draw(CHUNK_TOKENS),))
        store = KVStore(RamTier(BUDGET), disk, NAMESPACE, identity.digest)
        engine = ReuseEngine(runner, store, frame, ReuseConfig(min_reusable_tokens=1))
        engine.refusal = None
        engine.prepare()
        chunks = tuple(Segment("chunk", draw(CHUNK_TOKENS)) for _ in range(3))
        for _ in engine.precompute(chunks):
            pass
        question = Segment("question", draw(QUESTION_TOKENS))
        return cls(runner, identity, folder, disk, engine, chunks, question)

    def prompt(self, chunks: Sequence[Segment]) -> list[Segment]:
        return [Segment("prefix", self.engine.frame.prefix), *chunks, self.question]

    def prefill(self, chunks: Sequence[Segment], options: ReuseOptions) -> Prefilled:
        prompt = self.prompt(chunks)
        capacity = sum(len(segment.token_ids) for segment in prompt) + STEPS
        return self.engine.prefill(prompt, options, capacity=capacity)

    def digests(self) -> list[str]:
        """Of every entry's tensors as they are looked up, then of every file."""
        tensors: list[torch.Tensor] = []
        for chunk in self.chunks:
            for encoding in ENCODINGS:
                context = find_encoding(encoding).key_context(self.engine.frame, chunk)
                entry = self.engine.store.lookup(chunk.token_ids, context).entry
                tensors += (entry.keys, entry.values) if entry else ()
        found = [_digest(tensor.cpu().float().numpy().tobytes()) for tensor in tensors]
        return found + [_digest(path.read_bytes()) for path in self.files()]

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.safetensors"))


def prove_store(runner: ModelRunner, identity: ModelIdentity, folder: Path) -> list[Proof]:
    """Run P6 to P8 in the empty `folder`, which keeps what they leave there."""
    trial = StoreTrial.open(runner, identity, folder)
    return [prove_immutability(trial), prove_order(trial), prove_keys(trial)]


def prove_immutability(trial: StoreTrial) -> Proof:
    """P6: serving changes no stored tensor, and two prompts in turns equal the two alone."""
    options = ReuseOptions(policy="question", ratio=0.3)
    orders = (trial.chunks, trial.chunks[::-1])
    alone = [_go_on([trial.prefill(order, options)])[0] for order in orders]
    before = trial.digests()
    together = _go_on([trial.prefill(order, options) for order in orders])
    same = all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    return Proof("P6 immutability", same and before == trial.digests(), 0.0)


def prove_order(trial: StoreTrial) -> Proof:
    """P8: every order of the same chunks finds the same entries, and with everything recomputed
    equals the full prefill of that order."""
    files = len(trial.files())
    compared, fresh = [], set()
    for order in permutations(trial.chunks):
        repaired = trial.prefill(order, ReuseOptions(policy="all", ratio=1.0))
        full = trial.prefill(order, ReuseOptions(mode="off"))
        compared.append(equal_logits(repaired.logits, full.logits, trial.runner.dtype))
        fresh.add(repaired.report.tokens.fresh)
    within = all(comparison.passed for comparison in compared)
    unchanged = fresh == {QUESTION_TOKENS} and len(trial.files()) == files
    worst = max(comparison.deviation for comparison in compared)
    return Proof("P8 order", within and unchanged, worst)


def prove_keys(trial: StoreTrial) -> Proof:
    """P7: any other identity or namespace misses, and a damaged file falls back to computing.

    Damages the trial's files, so it comes last."""
    chunk = trial.chunks[1]
    context = find_encoding("primed").key_context(trial.engine.frame, chunk)
    missed = []
    for identity in altered(trial.identity):
        store = KVStore(RamTier(0), trial.disk, NAMESPACE, identity.digest)
        missed.append(store.lookup(chunk.token_ids, context).entry is None)
    other = KVStore(RamTier(0), trial.disk, "another", trial.identity.digest)
    missed.append(other.lookup(chunk.token_ids, context).entry is None)
    return Proof("P7 keys", all(missed) and _survives_damage(trial), 0.0)


def _survives_damage(trial: StoreTrial) -> bool:
    for path in trial.files():
        path.write_bytes(path.read_bytes()[:-9])
    store = KVStore(RamTier(0), trial.disk, NAMESPACE, trial.identity.digest)
    engine = ReuseEngine(trial.runner, store, trial.engine.frame, trial.engine.config)
    engine.refusal = None
    damaged = replace(trial, engine=engine)
    got = damaged.prefill(trial.chunks, ReuseOptions(policy="question", ratio=0.3))
    full = damaged.prefill(trial.chunks, ReuseOptions(mode="off"))
    told = {segment.reason for segment in got.report.segments}
    is_equal = equal_logits(got.logits, full.logits, trial.runner.dtype).passed
    return reasons.CORRUPT in told and is_equal and got.report.tokens.reused == 0


def altered(identity: ModelIdentity) -> list[ModelIdentity]:
    """One identity for each field, which differs there and nowhere else."""
    return [
        replace(identity, **{field.name: _other(getattr(identity, field.name))})  # type: ignore[arg-type]
        for field in fields(identity)
    ]


def _other(value: object) -> object:
    if isinstance(value, tuple):
        numbers = cast("tuple[int, ...]", value)
        return (numbers[0] + 1, *numbers[1:])
    return "x" if value is None else f"{value}x"


def _go_on(prompts: Sequence[Prefilled]) -> list[torch.Tensor]:
    """Logits [1 + STEPS, V] of each greedy answer, the prompts taking turns at every token."""
    rows = [[prompt.logits] for prompt in prompts]
    for _ in range(STEPS):
        for prompt, seen in zip(prompts, rows, strict=True):
            seen.append(prompt.extend([int(seen[-1].argmax())])[-1])
    return [torch.stack(seen) for seen in rows]


class _Drawing:
    """Random token ids, the same at every run."""

    def __init__(self, runner: ModelRunner) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self._vocabulary = int(runner.model.config.vocab_size)

    def __call__(self, count: int) -> tuple[int, ...]:
        drawn = torch.randint(0, self._vocabulary, (count,), generator=self._generator)
        return tuple(drawn.tolist())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
