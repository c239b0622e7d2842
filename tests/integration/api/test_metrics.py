"""/metrics, read by Prometheus' own parser: what it says is what the other routes say."""

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.bootstrap import Container
from app.db.rows import WatchedRow
from app.decoder.watch import ReuseWatch, Shares
from kvstore.full_check import Drift
from tests.fakes.decoder import FakeDecoder

pytestmark = pytest.mark.anyio

Labels = tuple[tuple[str, str], ...]


async def collect(client: httpx2.AsyncClient) -> dict[tuple[str, Labels], float]:
    """Value by name and labels."""
    reply = await client.get("/metrics")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=")
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(reply.text):
        assert family.documentation
        assert family.type in {"gauge", "counter"}
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


async def test_tiers_and_counters_are_those_of_the_cache_route(
    client: httpx2.AsyncClient, town: int
) -> None:
    found = await collect(client)
    body = (await client.get("/api/v1/cache")).json()
    assert found["larder_reuse_allowed", ()] == body["chunk_reuse"]["allowed"]
    for tier in body["tiers"]:
        label = (("tier", tier["name"]),)
        for name in ("bytes", "budget_bytes", "entries", "pinned"):
            assert found[f"larder_kv_{name}", label] == tier[name]
    for name, count in body["counters"].items():
        if name.startswith("hits_"):
            key = ("larder_kv_hits_total", (("tier", name.removeprefix("hits_")),))
        elif name == "saved_ms":
            key, count = ("larder_kv_saved_seconds", ()), count / 1000
        else:
            key = ("larder_kv_events_total", (("event", name),))
        assert found[key] == count
    assert not any(name.startswith("larder_watch") for name, _ in found)


async def test_drift_first_token_times_hold_out_and_what_is_switched_off(
    client: httpx2.AsyncClient, decoder: FakeDecoder, town: int, container: Container
) -> None:
    decoder.watch = ReuseWatch(container.watch, decoder.identity, 0.1, Shares(0.01, 0.02), seed=0)
    await decoder.watch.note_drift(town, Drift(0.02, 0.75, 16, 500.0), 90.0)
    before = await collect(client)
    assert before["larder_watch_kl_mean", ()] == pytest.approx(0.02)
    assert before["larder_watch_top1_agreement", ()] == 0.75
    assert before["larder_watch_suspended", ()] == 0
    for _ in range(7):
        await decoder.watch.note_drift(town, Drift(3.0, 0.25, 16, 500.0), 90.0)
    await decoder.watch.note_arm(town, "off", 700.0)
    await container.watch.add(WatchedRow(decoder.identity, town, "on", 80.0))
    found = await collect(client)
    assert found["larder_watch_kl_max", ()] == 3.0
    assert found["larder_watch_kl_limit", ()] == 0.1
    assert found["larder_watch_holdout_share", ()] == 0.02
    assert found["larder_watch_suspended", ()] == 1
    assert found["larder_watch_requests_total", (("outcome", "checked"),)] == 8
    assert found["larder_watch_requests_total", (("outcome", "holdout_off"),)] == 1
    times = {
        dict(labels)["served"]: value
        for (name, labels), value in found.items()
        if name == "larder_first_token_seconds" and ("quantile", "0.5") in labels
    }
    assert times == {"watched": 0.09, "watched_full": 0.5, "holdout_off": 0.7, "holdout_on": 0.08}
    assert found["larder_first_token_requests", (("served", "reuse"),)] == 0


async def test_a_stranger_s_host_name_is_refused(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/metrics", headers={"Host": "elsewhere.example"})
    assert reply.status_code == 400
