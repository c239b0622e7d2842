"""Run a plan on the device: assemble stored rows, choose what to recompute, compute the rest.

The result is an ordinary full-length cache and the last row's logits; decoding goes on from it.
"""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch

from kvstore.cache import ScatterCache
from kvstore.column_bias import ColumnBias
from kvstore.layer_feed import LayerFeed
from kvstore.planner import PlannedSegment, PrefillPlan
from kvstore.position import Rotator
from kvstore.probe import PromptProbes
from kvstore.protocols import SelectionPolicy, SelectionRequest, Span
from kvstore.runner import ModelRunner
from kvstore.types import ChunkKV, SegmentReport, TokenCounts

NOTHING = torch.empty(0, dtype=torch.int64)


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by named step."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1000


@dataclass(frozen=True, slots=True)
class PrefillResult:
    cache: ScatterCache
    logits: torch.Tensor  # [V], of the prompt's last row
    segments: tuple[SegmentReport, ...]
    tokens: TokenCounts


class Prefiller:
    """Executes plans; keeps nothing between them."""

    def __init__(self, runner: ModelRunner, floor_tokens: int) -> None:
        self._runner = runner
        self._rotator = Rotator(runner.model)
        self._floor = floor_tokens

    def run(
        self,
        plan: PrefillPlan,
        policy: SelectionPolicy,
        ratio: float,
        *,
        capacity: int,
        watch: Stopwatch | None = None,
        seed: int = 0,
        by_layer: bool = False,
    ) -> PrefillResult:
        """Prefill into a cache with room for `capacity` rows (prompt and answer).

        With `by_layer` stored rows are placed while the first forward runs; raises RowsLost where
        they cannot be. A plan whose entries are still coded needs it.
        """
        watch = watch or Stopwatch()
        ids = torch.tensor(
            [t for s in plan.segments for t in s.segment.token_ids], device=self._runner.device
        )
        cache = self._runner.new_cache(capacity)
        cache.bias = ColumnBias.of([s.segment for s in plan.segments], self._runner.device)
        if all(s.action == "computed" for s in plan.segments):
            with watch.step("prefill"):
                logits = self._runner.forward_all(ids, cache)
            return PrefillResult(cache, logits, *describe(plan, NOTHING))
        with ExitStack() as placing:
            with watch.step("rotate"):
                if by_layer:
                    cache.feed = placing.enter_context(self._feed(plan, cache))
                else:
                    self.assemble(plan, cache)
            with watch.step("probe"):
                chosen = self._choose(plan, policy, ratio, seed, ids, cache)
            with watch.step("prefill"):
                rows = rows_to_compute(plan, chosen).to(self._runner.device)
                logits = self._runner.forward_rows(ids, rows, cache)[-1]
        cache.feed = None
        return PrefillResult(cache, logits, *describe(plan, chosen))

    def assemble(self, plan: PrefillPlan, cache: ScatterCache) -> None:
        """Copy stored rows to their places, keys rotated once; stored tensors stay untouched."""
        _hide_dropped(plan, cache)
        self._place(plan, cache, slice(0, self._runner.layout.num_layers))

    def _feed(self, plan: PrefillPlan, cache: ScatterCache) -> LayerFeed:
        """The same in a thread of its own. What is hidden has to be known before a forward."""
        _hide_dropped(plan, cache)
        place, finish = partial(self._place, plan, cache), partial(_finish_arrivals, plan)
        return LayerFeed(place, self._runner.layout.num_layers, finish)

    def _place(self, plan: PrefillPlan, cache: ScatterCache, layers: slice) -> None:
        for planned in plan.segments:
            if planned.entry is not None:
                rows = slice(planned.start, planned.end)
                keys, values = self._rows_of(planned.entry, layers)
                out = cache.key_buffer[layers, 0]
                self._rotator.place(keys, out, planned.start, layers.start)
                cache.value_buffer[layers, 0, :, rows].copy_(values)

    def _rows_of(self, entry: ChunkKV, layers: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [l, G, n, D] on the model's device; rows that were not kept are zero."""
        keys, values = entry.rows(layers, self._runner.layout.num_layers)
        keys, values = keys.to(self._runner.device), values.to(self._runner.device)
        if entry.kept is None:
            return keys, values
        kept = entry.kept.to(self._runner.device, torch.int64)
        shape = (*keys.shape[:2], len(entry.token_ids), keys.shape[3])
        return (
            keys.new_zeros(shape).index_copy_(2, kept, keys),
            values.new_zeros(shape).index_copy_(2, kept, values),
        )

    def _choose(
        self,
        plan: PrefillPlan,
        policy: SelectionPolicy,
        ratio: float,
        seed: int,
        ids: torch.Tensor,
        cache: ScatterCache,
    ) -> torch.Tensor:
        spans = plan.reused_spans
        budget = recompute_budget(spans, ratio)
        if policy.name != "all" and budget == 0:
            return NOTHING
        self._fill_gaps(plan, ids, cache)
        probes = PromptProbes(self._runner, ids, plan.segments[-1].start, cache)
        return policy.select(SelectionRequest(spans, budget, self._floor, seed), probes)

    def _fill_gaps(self, plan: PrefillPlan, ids: torch.Tensor, cache: ScatterCache) -> None:
        """Compute passages that were not stored first, so that a probe reads no empty rows. What
        stands behind the last of them is empty still, and not looked at."""
        gaps = [span for span in plan.computed_spans if span.end < plan.num_tokens]
        if gaps:
            rows = torch.cat([torch.arange(g.start, g.end) for g in gaps])
            self._runner.forward_rows(ids[: gaps[-1].end], rows.to(ids.device), cache)


def _hide_dropped(plan: PrefillPlan, cache: ScatterCache) -> None:
    """No row sees those that a stored passage was kept without."""
    for planned in plan.segments:
        if planned.entry is not None and planned.entry.kept is not None:
            kept = planned.entry.kept.to(cache.rows.device, torch.int64)
            dropped = torch.ones(planned.end - planned.start, dtype=torch.bool, device=kept.device)
            dropped[kept] = False
            cache.hide(planned.start + dropped.nonzero().flatten())


def _finish_arrivals(plan: PrefillPlan) -> None:
    for planned in plan.segments:
        if planned.entry is not None and planned.entry.arrival is not None:
            planned.entry.arrival.finish(planned.entry)


def recompute_budget(spans: tuple[Span, ...], ratio: float) -> int:
    """ceil(ratio * reused tokens); 1e-9 keeps 0.15 * 20 from becoming 4."""
    return math.ceil(ratio * sum(len(span) for span in spans) - 1e-9)


def rows_to_compute(plan: PrefillPlan, chosen: torch.Tensor) -> torch.Tensor:
    """Sorted rows: everything planned as computed (Q always) and what the policy chose."""
    computed = [torch.arange(span.start, span.end) for span in plan.computed_spans]
    return torch.cat([*computed, chosen.cpu()]).sort().values


def describe(
    plan: PrefillPlan, chosen: torch.Tensor
) -> tuple[tuple[SegmentReport, ...], TokenCounts]:
    """What a plan came to once a policy chose the rows `chosen` [n] to recompute."""
    reports = tuple(_report(planned, chosen) for planned in plan.segments if not _is_link(planned))
    recomputed = len(chosen)
    exact = sum(r.num_tokens for r in reports if r.action == "exact")
    reused = sum(r.num_tokens for r in reports if r.action == "reused") - recomputed
    counts = TokenCounts(
        prompt=plan.num_tokens,
        exact_prefix=exact,
        reused=reused,
        recomputed=recomputed,
        fresh=plan.num_tokens - exact - reused - recomputed,
    )
    return reports, counts


def _is_link(planned: PlannedSegment) -> bool:
    return planned.segment.kind == "link"


def _report(planned: PlannedSegment, chosen: torch.Tensor) -> SegmentReport:
    inside = int(((chosen >= planned.start) & (chosen < planned.end)).sum())
    return SegmentReport(
        kind=planned.segment.kind,
        num_tokens=planned.end - planned.start,
        action=planned.action,
        recomputed=inside,
        tier=planned.tier,
        encoding=planned.encoding,
        reason=planned.reason,
        saved_ms=1000 * planned.saved_seconds,
    )
