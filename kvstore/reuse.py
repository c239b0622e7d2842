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
from kvstore.encode import Encoder
from kvstore.encodings import find_encoding
from kvstore.errors import InvalidReuse, RowsLost
from kvstore.frame import Frame
from kvstore.keys import content_id
from kvstore.links import LinkTokens
from kvstore.planner import Planner, PrefillPlan, plan_nothing
from kvstore.policies import CACHE_CRAFT, find_policy
from kvstore.precompute import Precomputed, Precomputer
from kvstore.prefill import Prefiller, PrefillResult, Stopwatch
from kvstore.protocols import SelectionPolicy
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import PrefillReport, ReuseOptions, Segment
from kvstore.variants import USUAL_VARIANTS, VariantCapture, VariantCatalog
from kvstore.vote import Ballot, BranchReport, Voter

logger = logging.getLogger(__name__)

DEFAULT_OPTIONS = ReuseOptions()


@dataclass(frozen=True, slots=True)
class Prefilled:
    """A prompt in a cache: what decoding needs, and what happened."""

    logits: torch.Tensor  # [V], of the prompt's last row
    report: PrefillReport
    extend: Callable[[Sequence[int]], torch.Tensor]  # append tokens; logits [n, V] of their rows
    drop: Callable[[int], None]  # forget that many of the last rows
    release: Callable[[], None]  # nothing is appended any more: the next prompt may have the room


class ReuseEngine:
    """`refusal` is a reason code while chunk reuse is not allowed for this model, else None; with
    EXACT_NOT_PROVEN nothing at all is reused."""

    def __init__(
        self, runner: ModelRunner, store: KVStore, frame: Frame, config: ReuseConfig
    ) -> None:
        self.runner = runner
        self.store = store
        self.frame = frame
        self.config = config
        self.refusal: str | None = reasons.MODEL_NOT_PROVEN
        encoder = Encoder(runner, config.pack_tokens)
        self._precomputer = Precomputer(encoder, store, frame, config)
        variants = VariantCatalog(store.statistics, config.variants or USUAL_VARIANTS)
        variants.seed(store.contexts(), content_id(frame.prefix))
        self._capture = VariantCapture(runner, store, variants)
        self._planner = Planner(frame, config, variants)
        self._link_tokens: LinkTokens | None = None
        self._prefiller = Prefiller(runner, config.floor_tokens)
        self._voter = Voter(runner, store, frame)

    def plan(
        self,
        segments: Sequence[Segment],
        options: ReuseOptions,
        *,
        by_layer: bool = False,
        counts: bool = True,
    ) -> PrefillPlan:
        """Decide what is reused; no tensor is touched. With `by_layer` entries may come with rows
        that are still coded. Without `counts` it is the same prompt once more."""
        if options.mode == "off":
            return plan_nothing(segments, reasons.MODE_OFF)
        if not self._is_exact_proven:
            return plan_nothing(segments, reasons.EXACT_NOT_PROVEN)
        exact_only = reasons.MODE_EXACT if options.mode == "exact" else self.refusal
        find = partial(self.store.lookup, by_layer=by_layer, counts=counts)
        encoding = options.encoding
        if encoding is None and (options.policy or self.config.policy) in CACHE_CRAFT:
            encoding = "variant"
        return self._planner.plan(
            segments, find, exact_only=exact_only, encoding=encoding, counts=counts
        )

    def prefill(
        self, segments: Sequence[Segment], options: ReuseOptions, *, capacity: int, seed: int = 0
    ) -> Prefilled:
        """Prefill a prompt P, chunks, Q. Raises InvalidReuse for an unknown policy or bad ratio."""
        policy = find_policy(options.policy or self.config.policy)
        ratio = check_ratio(self.config.ratio if options.ratio is None else options.ratio)
        if policy.needs_links and options.mode == "auto" and self.refusal is None:
            segments = self._links().weave(segments)
            capacity += self._links().count_in(segments)
        watch = Stopwatch()
        fill = partial(
            self._fill, segments, options, policy, ratio, capacity=capacity, watch=watch, seed=seed
        )
        try:
            plan, result = fill(by_layer=self.config.layerwise)
        except RowsLost as error:
            logger.warning("%s (%s): placed whole instead", error, error.__cause__)
            # what is damaged shows before anything is computed
            plan, result = fill(by_layer=False, counts=False)
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
        return Prefilled(result.logits, report, extend, drop, result.cache.release)

    def _fill(
        self,
        segments: Sequence[Segment],
        options: ReuseOptions,
        policy: SelectionPolicy,
        ratio: float,
        *,
        capacity: int,
        watch: Stopwatch,
        seed: int,
        by_layer: bool,
        counts: bool = True,
    ) -> tuple[PrefillPlan, PrefillResult]:
        with watch.step("lookup"):
            plan = self.plan(segments, options, by_layer=by_layer, counts=counts)
            for planned in plan.segments:
                if planned.entry is not None and counts:
                    self.store.credit(planned.entry.key, planned.overhead)
        result = self._prefiller.run(
            plan, policy, ratio, capacity=capacity, watch=watch, seed=seed, by_layer=by_layer
        )
        return plan, result

    def vote(
        self, prompts: Sequence[Sequence[Segment]], options: ReuseOptions, *, max_tokens: int
    ) -> Ballot:
        """Prefill prompts P, chunks, Q side by side, exactly, for `max_tokens` more each."""
        reuse = options.mode != "off" and self._is_exact_proven
        return self._voter.open(prompts, max_tokens=max_tokens, reuse=reuse)

    def likelihoods(self, prompts: Sequence[Sequence[Segment]]) -> list[float]:
        """Mean log likelihood of each prompt's question behind what stands before it, exactly."""
        return self._voter.likelihoods(prompts)

    def check(self, options: ReuseOptions) -> None:
        """Raises InvalidReuse where a request names what this model cannot do."""
        if options.policy is not None and find_policy(options.policy).needs_links:
            self._links()

    def prepare(self) -> None:
        """Compute and pin what every prompt begins with: P, then the neutral primers behind it."""
        self._precomputer.prepare()

    def precompute(
        self, chunks: Sequence[Segment], *, evict: bool = False
    ) -> Iterator[Precomputed]:
        """Store `head` and `primed` of each chunk; one report a batch, so that a caller can let
        questions go first in between. Without `evict` it stops at the disk budget."""
        return self._precomputer.run(chunks, evict=evict)

    def is_warm(self, chunk: Segment) -> bool:
        """Whether a prompt could reuse this chunk from here."""
        rules = [find_encoding(name) for name in self.config.encodings if name != "variant"]
        contexts = [rule.key_context(self.frame, chunk) for rule in rules]
        return any(self.store.holds(chunk.token_ids, context) for context in contexts)

    def teaches(self, report: PrefillReport, options: ReuseOptions = DEFAULT_OPTIONS) -> bool:
        """Whether a prompt is one to `capture`: variants are wanted and one of its chunks has none.
        The first chunk needs none: it is exact as `head`."""
        wanted = self.config.variants
        if wanted is None:
            encodings = (options.encoding, *self.config.encodings)
            wanted = USUAL_VARIANTS * (report.policy in CACHE_CRAFT or "variant" in encodings)
        told = [segment for segment in report.segments if segment.kind == "chunk"][1:]
        lacks = any(segment.encoding != "variant" for segment in told)
        return wanted > 0 and lacks

    def use_links(self, links: LinkTokens) -> None:
        """Let requests ask for the policy `link_tokens`."""
        self._link_tokens = links
        self.runner.links = links.embeddings.to(self.runner.device)

    def capture(self, segments: Sequence[Segment]) -> int:
        """Compute a prompt exactly and keep its chunks as variants (kvstore.variants); returns how
        many. As slow as a full prefill: for after an answer."""
        return self._capture.capture(segments)

    @property
    def _is_exact_proven(self) -> bool:
        """Whether what is exact may be reused; else not even P is."""
        return self.refusal != reasons.EXACT_NOT_PROVEN

    def _links(self) -> LinkTokens:
        if self._link_tokens is None:
            raise InvalidReuse(
                "the policy link_tokens needs trained link embeddings; name their file in "
                "LARDER_LINK_TOKENS (benchmarks/train_link_tokens.py makes one)"
            )
        return self._link_tokens

    def repair(self, segments: Sequence[Segment], report: PrefillReport | BranchReport) -> int:
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
            for _ in self.precompute([s for s in damaged if s.kind == "chunk"]):
                pass
        return len(damaged)
