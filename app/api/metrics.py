"""Figures in Prometheus text format: what the KV store holds, how far reuse drifts, how long people
wait. Knows the format and plain values: no route, no SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.db.rows import TtftSample, WatchSummaryRow
from app.decoder.watch import ReuseWatch
from kvstore.types import StoreStats

HITS = "hits_"


@dataclass(frozen=True, slots=True)
class Figures:
    """What is reported. `times`: first-token times by how a request was served; `watch` and `seen`
    are None where nothing is watched."""

    allowed: bool
    store: StoreStats
    times: Mapping[str, TtftSample]
    watch: ReuseWatch | None
    seen: WatchSummaryRow | None


def metrics_text(figures: Figures) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collector(figures))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures
        yield _gauge("larder_reuse_allowed", "1 while chunks are reused, else 0.", found.allowed)
        yield from _store(found.store)
        yield from _times(found.times)
        if found.watch is not None and found.seen is not None:
            yield from _watch(found.watch, found.seen)


def _store(stats: StoreStats) -> Iterator[Metric]:
    per_tier = {
        "bytes": "Bytes that a tier holds.",
        "budget_bytes": "Bytes that it may hold.",
        "entries": "Entries that it holds.",
        "pinned": "Of these, pinned ones.",
    }
    for name, meaning in per_tier.items():
        values = {tier.name: float(getattr(tier, name)) for tier in stats.tiers}
        yield _labelled(GaugeMetricFamily, f"larder_kv_{name}", meaning, "tier", values)
    hits = {
        name.removeprefix(HITS): float(count)
        for name, count in stats.counters.items()
        if name.startswith(HITS)
    }
    yield _labelled(
        CounterMetricFamily, "larder_kv_hits", "Look-ups that a tier served.", "tier", hits
    )
    others = {
        name: float(count)
        for name, count in stats.counters.items()
        if not name.startswith(HITS) and name != "saved_ms"
    }
    what = "Other events: misses, corrupt, evicted and so on, as in GET /api/v1/cache."
    yield _labelled(CounterMetricFamily, "larder_kv_events", what, "event", others)
    what = "Full prefills as estimated minus what was spent until the first token, all requests."
    yield _gauge("larder_kv_saved_seconds", what, stats.counters.get("saved_ms", 0) / 1000)
    yield _labelled(
        GaugeMetricFamily,
        "larder_kv_load_bytes_per_second",
        "What a tier delivers, checked and decoded; a moving average.",
        "tier",
        stats.load_bytes_per_s,
    )


def _times(times: Mapping[str, TtftSample]) -> Iterator[Metric]:
    seconds = GaugeMetricFamily(
        "larder_first_token_seconds",
        "Time to the first token, by how a request was served.",
        labels=("served", "quantile"),
    )
    for served, sample in times.items():
        for quantile, value in (("0.5", sample.p50_ms), ("0.95", sample.p95_ms)):
            if value is not None:
                seconds.add_metric((served, quantile), value / 1000)
    yield seconds
    counts = {served: float(sample.n) for served, sample in times.items()}
    what = "Requests behind larder_first_token_seconds."
    yield _labelled(GaugeMetricFamily, "larder_first_token_requests", what, "served", counts)


def _watch(watch: ReuseWatch, seen: WatchSummaryRow) -> Iterator[Metric]:
    gauges = {
        "larder_watch_suspended": ("Suspensions of reuse in force.", len(watch.suspended)),
        "larder_watch_share": ("Share of requests that is checked.", watch.shares.watch),
        "larder_watch_holdout_share": ("Share served without reuse.", watch.shares.holdout),
        "larder_watch_kl_limit": ("Mean KL, in nats, that switches off.", watch.limit),
        "larder_watch_evidence": ("Evidence for drift over the limit.", watch.evidence),
        "larder_watch_kl_mean": ("Mean KL since the last reset, in nats.", seen.kl_mean),
        "larder_watch_kl_max": ("Largest KL since the last reset, in nats.", seen.kl_max),
        "larder_watch_top1_agreement": ("Share of equal first choices.", seen.top1_agreement),
        "larder_watch_checked": ("Checks since the last reset.", seen.checked),
    }
    for name, (meaning, value) in gauges.items():
        if value is not None:
            yield _gauge(name, meaning, value)
    what = "Since the start: checks made and skipped, requests of both arms of the comparison."
    yield _labelled(CounterMetricFamily, "larder_watch_requests", what, "outcome", watch.counts())


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))


def _labelled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    meaning: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    family = kind(name, meaning, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family
