"""The cache commands over HTTP, with real tiers and real SQLite."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from app.bootstrap import Container
from app.cache import jobs
from app.db.entries import EntryRows
from app.db.rows import CacheScope
from app.db.session import Database
from app.settings import Settings
from kvstore.shared_tier import SharedLimits, SharedTier
from tests.fakes.blobs import FakeBlobs
from tests.fakes.storing_decoder import StoringDecoder
from tests.integration.api.conftest import ANSWER

pytestmark = pytest.mark.anyio

LIMITS = SharedLimits(limit_s=2.0, cool_down_s=0.0, listing_s=0.0)


@pytest.fixture
def blobs() -> FakeBlobs:
    return FakeBlobs()


@pytest.fixture
async def index(settings: Settings) -> AsyncIterator[EntryRows]:
    settings.data_dir.mkdir()
    url = settings.resolved_database_url
    await (await Database.open(url)).close()
    rows = EntryRows(settings.resolved_database_url)
    yield rows
    rows.close()


@pytest.fixture
def decoder(settings: Settings, index: EntryRows, blobs: FakeBlobs) -> Iterator[StoringDecoder]:
    shared = SharedTier(blobs, 10**8, limits=LIMITS)
    yield StoringDecoder(settings.data_dir / "kv", index, ANSWER, shared=shared)
    shared.close()


async def finished(client: httpx2.AsyncClient, verb: str, body: object = None) -> dict[str, object]:
    """Start a job and wait for it."""
    reply = await client.post(f"/api/v1/cache/{verb}", json=body)
    assert reply.status_code == 202, reply.text
    job = reply.json()
    assert reply.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    while job["state"] in {"queued", "running"}:
        await asyncio.sleep(0.01)
        job = (await client.get(reply.headers["Location"])).json()
    assert (job["kind"], job["state"]) == ("cache", "succeeded"), job
    assert job["done"] == job["total"]
    return dict(job)


async def ls(client: httpx2.AsyncClient, **params: object) -> list[dict[str, int]]:
    reply = await client.get("/api/v1/cache/entries", params=params)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["items"])


async def test_what_is_stored_is_listed_by_document(client: httpx2.AsyncClient, town: int) -> None:
    both = await ls(client)
    assert [row["name"] for row in both] == ["pool.md", "budget.md"]
    assert all(row["entries"] == 2 * row["chunks"] == 2 * row["stored"] for row in both)
    assert await ls(client, collection="town") == both
    assert await ls(client, source="council") == both[:1]
    assert await ls(client, document_id=both[1]["document_id"]) == both[1:]
    reply = await client.get("/api/v1/cache/entries", params={"source": "a", "collection": "b"})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_value")
    reply = await client.get("/api/v1/cache/entries", params={"collection": "nowhere"})
    assert reply.status_code == 404


async def test_explain_says_what_an_entry_stood_behind_and_why_one_is_missing(
    client: httpx2.AsyncClient, town: int, decoder: StoringDecoder, container: Container
) -> None:
    (row, *_) = await container.cache.targets.page(CacheScope("tenant"), 0, 1)
    decoder.use(row.token_ids, row.primers)
    reply = await client.get("/api/v1/cache/explain", params={"chunk_id": row.chunk_id})
    (chunk,) = reply.json()["items"]
    head, primed = chunk["entries"]
    assert chunk["missing"] is None
    assert (head["encoding"], head["behind"]) == ("head", ["prefix"])
    once = ["behind", "prefix", "primer", "primer"]
    assert (primed["encoding"], primed["behind"]) == ("primed", ["mean", *once, *once])
    assert (head["tiers"], primed["tiers"]) == (["ram", "disk"], ["disk"])
    assert (head["uses"], primed["uses"], head["pinned"]) == (1, 0, False)
    assert head["num_tokens"] == chunk["num_tokens"]
    await finished(client, "evict", {"scope": {"document_id": row.document_id}})
    reply = await client.get("/api/v1/cache/explain", params={"document_id": row.document_id})
    (chunk,) = reply.json()["items"]
    assert (chunk["entries"], chunk["missing"]) == ([], "disk_budget_or_purged")
    assert (await client.get("/api/v1/cache/explain")).status_code == 422


async def test_pins_hold_against_eviction_and_over_a_restart(
    client: httpx2.AsyncClient, town: int, decoder: StoringDecoder, settings: Settings
) -> None:
    (pool, budget) = await ls(client)
    scope = {"document_id": pool["document_id"]}
    job = await finished(client, "pin", scope)
    assert job["result"] == {"chunks": pool["chunks"], "entries": pool["entries"], "without": 0}
    job = await finished(client, "evict", {"to_bytes": 0})
    assert job["result"] == {
        "entries": budget["entries"],
        "bytes": budget["bytes"],
        "kept_pinned": pool["entries"],
    }
    assert [row["pinned"] for row in await ls(client)] == [pool["entries"], 0]
    index = EntryRows(settings.resolved_database_url)
    reopened = StoringDecoder(settings.data_dir / "kv", index)
    assert reopened.disk.stats().pinned == pool["entries"]
    assert reopened.upkeep.shrink(0).entries == 0
    index.close()
    job = await finished(client, "unpin", scope)
    assert job["result"]["entries"] == pool["entries"]
    nothing = await finished(client, "unpin", scope)
    assert nothing["result"]["chunks"] == pool["chunks"]
    job = await finished(client, "evict", {"scope": {"tenant": "default"}})
    assert job["result"]["entries"] == pool["entries"]
    assert all(row["entries"] == 0 for row in await ls(client))


async def test_warm_makes_what_is_missing_and_goes_on_after_a_break(
    client: httpx2.AsyncClient, town: int, blobs: FakeBlobs
) -> None:
    before = await ls(client)
    (pool, _) = before
    await finished(client, "evict", {"scope": {"document_id": pool["document_id"]}})
    blobs.held.clear()  # a copy there would do
    job = await finished(client, "warm", {"collection": "town"})
    result = job["result"]
    assert isinstance(result, dict)
    assert (result["stored"], result["left"], result["reason"]) == (pool["chunks"], 0, None)
    assert result["stored"] + result["already"] == sum(row["chunks"] for row in before)
    assert await ls(client) == before
    again = await finished(client, "warm", {"tenant": "default"})
    assert again["result"]["stored"] == 0


@pytest.mark.parametrize("name", ["collection", "tenant"])
async def test_a_purge_goes_on_until_a_server_that_was_away_answers(
    client: httpx2.AsyncClient,
    town: int,
    decoder: StoringDecoder,
    blobs: FakeBlobs,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(jobs, "PURGE_AGAIN_S", 0.05)
    held = len(blobs.held)
    assert held > 0
    blobs.fails = True
    body = {name: {"collection": "town", "tenant": "default"}[name]}
    job = (await client.post("/api/v1/cache/purge", json=body)).json()
    path = f"/api/v1/jobs/{job['id']}"
    while (job := (await client.get(path)).json())["result"] is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    job = (await client.get(path)).json()
    assert job["state"] in {"queued", "running"}
    assert job["result"]["complete"] is False
    tiers = {tier["tier"]: tier for tier in job["result"]["tiers"]}
    assert (tiers["disk"]["entries"], tiers["disk"]["failed"]) == (held, None)
    assert tiers["fake"]["failed"]
    blobs.fails = False
    while (job := (await client.get(path)).json())["state"] in {"queued", "running"}:
        await asyncio.sleep(0.01)
    assert (job["state"], job["result"]["complete"]) == ("succeeded", True)
    tiers = {tier["tier"]: tier for tier in job["result"]["tiers"]}
    assert (tiers["fake"]["entries"], tiers["fake"]["failed"]) == (held, None)
    assert blobs.held == {}


@pytest.mark.parametrize("name", ["document_id", "collection", "source", "tenant"])
async def test_purge_reaches_every_tier_and_says_what_went(
    client: httpx2.AsyncClient,
    town: int,
    decoder: StoringDecoder,
    blobs: FakeBlobs,
    container: Container,
    name: str,
) -> None:
    (pool, budget) = await ls(client)
    rows = await container.cache.targets.page(CacheScope("document", pool["document_id"]), 0, 9)
    for row in rows:
        decoder.use(row.token_ids, row.primers)
    await finished(client, "pin", {"tenant": "default"})
    named = {
        "document_id": pool["document_id"],
        "collection": "town",
        "source": "council",
        "tenant": "default",
    }
    is_everything = name in {"collection", "tenant"}
    entries = pool["entries"] + (budget["entries"] if is_everything else 0)
    job = await finished(client, "purge", {name: named[name]})
    result = job["result"]
    assert isinstance(result, dict)
    tiers = {tier["tier"]: tier for tier in result["tiers"]}
    assert (result["entries"], result["complete"]) == (entries, True)
    assert tiers["disk"]["entries"] == tiers["fake"]["entries"] == entries
    assert tiers["ram"]["entries"] == len(rows)
    assert tiers["disk"]["num_bytes"] + tiers["fake"]["num_bytes"] == result["bytes"]
    assert len(blobs.held) == (0 if is_everything else budget["entries"])
    assert all(not decoder.use(row.token_ids, row.primers) for row in rows)
    assert decoder.prepared == (1 if name == "tenant" else 0)
    state = (await client.get(f"/api/v1/documents/{pool['document_id']}")).json()
    assert state["chunks_cached"] == 0


async def test_verify_finds_damage_strangers_and_losses(
    client: httpx2.AsyncClient,
    town: int,
    decoder: StoringDecoder,
    index: EntryRows,
    blobs: FakeBlobs,
    settings: Settings,
) -> None:
    files = sorted((settings.data_dir / "kv").glob("*/*.safetensors"))
    assert (await finished(client, "verify"))["result"] == {
        "tiers": {"disk": {"ok": len(files)}, "fake": {"ok": len(files)}}
    }
    data = bytearray(files[0].read_bytes())
    data[-3] ^= 1
    files[0].write_bytes(data)
    files[1].unlink()
    (settings.data_dir / "kv" / "ab").mkdir(exist_ok=True)
    (settings.data_dir / "kv" / "ab" / ("ab" * 32 + ".safetensors")).write_bytes(b"no")
    name = sorted(blobs.held)[0]
    blobs.held[name] = blobs.held[name][:-1]
    blobs.held["stranger"] = b"what is this"
    outcome = (await finished(client, "verify"))["result"]
    assert outcome == {
        "tiers": {
            "disk": {"ok": len(files) - 2, "damaged": 2, "gone": 1},
            "fake": {"ok": len(files) - 1, "damaged": 2},
        }
    }
    assert (await finished(client, "verify"))["result"] == {
        "tiers": {"disk": {"ok": len(files) - 2}, "fake": {"ok": len(files) - 1}}
    }
    assert len(index.rows()) == len(files) - 2 == decoder.disk.stats().entries


async def test_jobs_can_be_listed_followed_and_cancelled(
    client: httpx2.AsyncClient, town: int, container: Container
) -> None:
    async with container.ingest._parts.gate:  # nothing is warmed meanwhile
        job = (await client.post("/api/v1/cache/warm", json={"collection": "town"})).json()
        while job["state"] == "queued":
            await asyncio.sleep(0.01)
            job = (await client.get(f"/api/v1/jobs/{job['id']}")).json()
        reply = await client.post(f"/api/v1/jobs/{job['id']}/cancel")
        assert reply.json()["is_cancelling"] is True
    async with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as events:
        text = (await events.aread()).decode()
    assert "event: job.completed" in text
    assert '"state":"cancelled"' in text
    listed = (await client.get("/api/v1/jobs", params={"collection_id": town})).json()["items"]
    found = {item["id"]: item for item in listed}
    assert found[job["id"]]["kind"] == "cache"
    assert found[job["id"]]["state"] == "cancelled"
    reply = await client.get("/api/v1/cache/jobs")
    assert reply.status_code == 404
    reply = await client.post(f"/api/v1/jobs/{job['id']}/retry")
    await container.worker.wait_idle()
    again = (await client.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (again["state"], again["result"]["left"]) == ("succeeded", 0)


async def test_verify_goes_on_entry_by_entry(
    client: httpx2.AsyncClient, town: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that has time for one entry only: each is read once, none is left out."""
    monkeypatch.setattr("app.cache.jobs.VERIFY_S", 0.0)
    num = len(list((settings.data_dir / "kv").glob("*/*.safetensors")))
    job = await finished(client, "verify")
    assert job["result"] == {"tiers": {"disk": {"ok": num}, "fake": {"ok": num}}}


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("pin", {}),
        ("purge", {"document_id": 1, "collection": "town"}),
        ("purge", {"tenant": "another"}),
        ("evict", {}),
        ("evict", {"to_bytes": -1}),
        ("warm", {"everything": True}),
    ],
)
async def test_a_scope_names_exactly_one_thing(
    client: httpx2.AsyncClient, verb: str, body: dict[str, object]
) -> None:
    reply = await client.post(f"/api/v1/cache/{verb}", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_request")
