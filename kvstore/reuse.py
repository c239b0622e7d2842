"""ReuseEngine: the facade over store, encoder, planner and prefiller for one loaded model.

Knows prompts as segments of token ids. One thread at a time may call it (the model is not shared).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from kvstore import reasons
from kvstore.config import ReuseConfig, check_ratio
from kvstore.encode import Encoder, Rows, TokenIds, pack
from kvstore.errors import TierFull, TierUnavailable
from kvstore.keys import content_id
from kvstore.planner import Contexts, Planner, PrefillPlan, plan_nothing
from kvstore.policies import find_policy
from kvstore.prefill import Prefiller, Stopwatch
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import ChunkKV, PrefillReport, ReuseOptions, Segment

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """The fixed parts of every prompt: P, and the primers that stand behind P when priming."""

    prefix: TokenIds
    primers: tuple[TokenIds, ...]

    @property
    def contexts(self) -> Contexts:
        head = (content_id(self.prefix),)
        return Contexts(head, (*head, *(content_id(ids) for ids in self.primers)))


@dataclass(frozen=True, slots=True)
class Prefilled:
    """A prompt in a cache: what decoding needs, and what happened."""

    logits: torch.Tensor  # [V], of the prompt's last row
    report: PrefillReport
    extend: Callable[[Sequence[int]], torch.Tensor]  # append tokens; logits [n, V] of their rows
    drop: Callable[[int], None]  # forget that many of the last rows


@dataclass(frozen=True, slots=True)
class Precomputed:
    stored: int
    already: int
    left: int
    num_tokens: int
    reason: str | None


class ReuseEngine:
    """`refusal` is a reason code while chunk reuse is not allowed for this model, else None."""

    def __init__(
        self, runner: ModelRunner, store: KVStore, frame: Frame, config: ReuseConfig
    ) -> None:
        self.runner = runner
        self.store = store
        self.frame = frame
        self.config = config
        self.refusal: str | None = reasons.MODEL_NOT_PROVEN
        self._encoder = Encoder(runner, config.pack_tokens)
        self._planner = Planner(frame.contexts, config)
        self._prefiller = Prefiller(runner, config.floor_tokens)

    def plan(self, segments: Sequence[Segment], options: ReuseOptions) -> PrefillPlan:
        """Decide what is reused; no tensor is touched."""
        if options.mode == "off":
            return plan_nothing(segments, reasons.MODE_OFF)
        exact_only = reasons.MODE_EXACT if options.mode == "exact" else self.refusal
        return self._planner.plan(segments, self.store.lookup, exact_only=exact_only)

    def prefill(
        self, segments: Sequence[Segment], options: ReuseOptions, *, capacity: int, seed: int = 0
    ) -> Prefilled:
        """Prefill a prompt P, chunks, Q. Raises InvalidReuse for an unknown policy or bad ratio."""
        policy = find_policy(options.policy or self.config.policy)
        ratio = check_ratio(self.config.ratio if options.ratio is None else options.ratio)
        watch = Stopwatch()
        with watch.step("lookup"):
            plan = self.plan(segments, options)
        result = self._prefiller.run(plan, policy, ratio, capacity=capacity, watch=watch, seed=seed)
        report = PrefillReport(
            mode=options.mode,
            policy=policy.name,
            ratio=ratio,
            reason=plan.reason,
            segments=result.segments,
            tokens=result.tokens,
            timings_ms=watch.ms,
        )
        extend = partial(self.runner.append, cache=result.cache)
        drop = partial(self.runner.drop, cache=result.cache)
        return Prefilled(result.logits, report, extend, drop)

    def prepare(self) -> None:
        """Compute and pin what every prompt begins with: P, then the primers behind it."""
        self._context_rows(self.frame.primers)

    def precompute(
        self, chunks: Sequence[TokenIds], *, evict: bool = False
    ) -> Iterator[Precomputed]:
        """Store `head` and `primed` of each chunk; one report a packed batch, so that a caller can
        let questions go first in between. Without `evict` it stops at the disk budget."""
        head, primed = self.frame.contexts.head, self.frame.contexts.primed
        for batch in pack(list(dict.fromkeys(chunks)), self.config.pack_tokens):
            plain = self._encode_missing(batch, (), head, evict)
            if plain.reason is None:
                again = self._encode_missing(batch, self.frame.primers, primed, evict)
                yield _weaker(plain, again)
            else:
                yield plain

    def repair(self, segments: Sequence[Segment], report: PrefillReport) -> int:
        """Encode again what was found damaged while `segments` were prefilled; returns how many.

        Only damage: an entry that is merely missing may belong to a document deleted meanwhile.
        """
        damaged = [
            segment
            for segment, told in zip(segments, report.segments, strict=True)
            if told.reason == reasons.CORRUPT
        ]
        if damaged:
            self.prepare()
            for _ in self.precompute([s.token_ids for s in damaged if s.kind == "chunk"]):
                pass
        return len(damaged)

    def _encode_missing(
        self,
        batch: Sequence[TokenIds],
        primers: Sequence[TokenIds],
        context: tuple[str, ...],
        evict: bool,
    ) -> Precomputed:
        missing = [ids for ids in batch if not self.store.contains(ids, context)]
        already = len(batch) - len(missing)
        stored = 0
        reason = None
        if missing:
            rows = self._encoder.encode(self._context_rows(primers), missing)
            for ids, fresh in zip(missing, rows, strict=True):
                reason = self._keep(ids, context, fresh, evict)
                if reason is not None:
                    break
                stored += 1
        num_tokens = sum(len(ids) for ids in missing[:stored])
        return Precomputed(stored, already, len(missing) - stored, num_tokens, reason)

    def _context_rows(self, primers: Sequence[TokenIds]) -> list[Rows]:
        """Rows of P and of `primers`, from the store or computed now."""
        context: list[Rows] = []
        before: tuple[str, ...] = ()
        for ids in (self.frame.prefix, *primers):
            found = self.store.lookup(ids, before).entry
            if found is None:
                rows = next(iter(self._encoder.encode(context, [ids])))
                self._keep(ids, before, rows, evict=True)
                self.store.pin(self.store.key_of(ids, before), pinned=True)
            else:
                rows = Rows(found.keys, found.values)
            context.append(rows)
            before = (*before, content_id(ids))
        return context

    def _keep(self, ids: TokenIds, context: tuple[str, ...], rows: Rows, evict: bool) -> str | None:
        """Store rows; returns why it was not possible, or None."""
        entry = ChunkKV(self.store.key_of(ids, context), ids, rows.keys, rows.values)
        try:
            self.store.put(entry, evict=evict)
        except TierFull:
            return "disk_budget"
        except TierUnavailable as error:
            logger.warning("chunk KV not stored: %s", error)
            return "disk_unavailable"
        return None


def _weaker(first: Precomputed, second: Precomputed) -> Precomputed:
    """A chunk counts as stored when both encodings are there."""
    return Precomputed(
        stored=max(first.stored, second.stored) if second.reason is None else second.stored,
        already=min(first.already, second.already),
        left=second.left,
        num_tokens=max(first.num_tokens, second.num_tokens),
        reason=second.reason,
    )
