"""The watch over HTTP: nothing without a model that is watched, figures and a reset with one."""

import httpx2
import pytest

from app.bootstrap import Container
from app.db.rows import WatchedRow
from app.decoder.watch import ReuseWatch, Shares
from kvstore import reasons
from kvstore.full_check import Drift
from tests.fakes.decoder import FakeDecoder

pytestmark = pytest.mark.anyio


async def test_without_chunk_reuse_there_is_nothing_to_watch(client: httpx2.AsyncClient) -> None:
    body = (await client.get("/api/v1/cache/watch")).json()
    assert (body["active"], body["checked"], body["suspended"]) == (False, 0, [])
    assert (await client.post("/api/v1/cache/watch/reset")).json() == {"lifted": 0}


async def test_figures_suspensions_and_a_reset(
    client: httpx2.AsyncClient, decoder: FakeDecoder, town: int, container: Container
) -> None:
    rows = container.watch
    decoder.watch = ReuseWatch(rows, decoder.identity, 0.1, Shares(0.01, 0.0), seed=0)
    for _ in range(7):
        await decoder.watch.note_drift(town, Drift(3.0, 0.2, 16, 500.0), 90.0)
    await rows.add(WatchedRow(decoder.identity, town, "off", 700.0))
    body = (await client.get("/api/v1/cache/watch")).json()
    assert (body["active"], body["checked"], body["limit"], body["share"]) == (True, 7, 0.1, 0.01)
    assert (body["kl_mean"], body["kl_max"]) == (3.0, 3.0)
    assert body["first_token_ms"]["served"]["p50_ms"] == 90.0
    assert body["first_token_ms"]["full"]["p50_ms"] == 500.0
    assert body["holdout"]["off"]["n"] == 1
    (off,) = body["suspended"]
    assert (off["collection_id"], off["collection"]) == (town, "town")
    assert off["reason"] == reasons.DRIFT_OVER_LIMIT
    assert (await client.post("/api/v1/cache/watch/reset")).json() == {"lifted": 1}
    body = (await client.get("/api/v1/cache/watch")).json()
    assert (body["checked"], body["suspended"]) == (0, [])
