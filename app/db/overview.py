"""The admin overview's arithmetic: sums, equal time slices and percentiles. Pure; no SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.db.rows import Bucket, OverviewRow, RunTokens, TtftSample
from kvstore.saving import saved_ms

NUM_BUCKETS = 48
MAX_VALUES = 500  # points a chart can show; percentiles are over all runs


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one finished run."""

    created_at: float
    mode: str
    prompt: int
    exact_prefix: int
    reused: int
    recomputed: int
    fresh: int
    generated: int
    ttft_ms: float | None
    prefill_ms: float | None
    full_prefill_ms_estimate: float | None

    @property
    def is_reuse(self) -> bool:
        return self.mode != "off" and self.exact_prefix + self.reused > 0

    @property
    def saved_ms(self) -> float:
        from_store = self.exact_prefix + self.reused
        return saved_ms(self.mode, from_store, self.prefill_ms, self.full_prefill_ms_estimate)


def summarise(
    runs: Sequence[Measured], hours: int, end: float, *, documents: int, chunks: int
) -> OverviewRow:
    """`runs` are those of the `hours` before `end`, oldest first."""
    return OverviewRow(
        window_hours=hours,
        runs=len(runs),
        documents=documents,
        chunks=chunks,
        tokens=RunTokens(
            sum(run.prompt for run in runs),
            sum(run.exact_prefix for run in runs),
            sum(run.reused for run in runs),
            sum(run.recomputed for run in runs),
            sum(run.fresh for run in runs),
            sum(run.generated for run in runs),
        ),
        saved_ms_estimate=sum(run.saved_ms for run in runs),
        series=_series(runs, hours, end),
        reuse=sample(run.ttft_ms for run in runs if run.is_reuse),
        off=sample(run.ttft_ms for run in runs if run.mode == "off"),
    )


def _series(runs: Sequence[Measured], hours: int, end: float) -> tuple[Bucket, ...]:
    width = hours * 3600 / NUM_BUCKETS
    start = end - hours * 3600
    slices: list[list[Measured]] = [[] for _ in range(NUM_BUCKETS)]
    for run in runs:
        index = int((run.created_at - start) / width)
        slices[min(max(index, 0), NUM_BUCKETS - 1)].append(run)
    return tuple(
        Bucket(
            start=start + index * width,
            runs=len(members),
            exact_prefix=sum(run.exact_prefix for run in members),
            reused=sum(run.reused for run in members),
            recomputed=sum(run.recomputed for run in members),
            fresh=sum(run.fresh for run in members),
        )
        for index, members in enumerate(slices)
    )


def sample(times: Iterable[float | None]) -> TtftSample:
    values = [value for value in times if value is not None]
    if not values:
        return TtftSample(0, None, None, ())
    p50, p95 = np.percentile(values, [50, 95])
    return TtftSample(len(values), float(p50), float(p95), tuple(values[-MAX_VALUES:]))
