"""Health, collections, sources, cache and overview over HTTP."""

from datetime import datetime

import httpx2
import pytest

from app.bootstrap import Container

pytestmark = pytest.mark.anyio


async def test_health(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    reply = await client.get("/readyz")
    assert reply.status_code == 200
    assert reply.json() == {
        "status": "ok",
        "checks": {"database": "ok", "decoder": "ok", "embedder": "ok"},
    }


async def test_not_ready_says_which_part(
    client: httpx2.AsyncClient, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(container.database, "check", broken)
    reply = await client.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["checks"]["database"] == "does not answer"


async def test_collections(client: httpx2.AsyncClient) -> None:
    created = await client.post("/api/v1/collections", json={"name": "  papers "})
    assert created.status_code == 201
    body = created.json()
    assert body["name"] == "papers"
    assert datetime.fromisoformat(body["created_at"]).utcoffset() is not None
    assert (await client.get("/api/v1/collections")).json() == {"items": [body]}
    assert (await client.get(f"/api/v1/collections/{body['id']}")).json() == body
    assert set(body) == {
        "id",
        "name",
        "created_at",
        "documents",
        "chunks",
        "tokens",
        "documents_ready",
    }


async def test_a_name_is_taken_once(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/collections", json={"name": "papers"})
    reply = await client.post("/api/v1/collections", json={"name": "papers"})
    assert reply.status_code == 409
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["code"] == "collection_exists"
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x", "colour": "red"}, {"name": 7}, [1]]
)
async def test_invalid_bodies_are_problems(client: httpx2.AsyncClient, body: object) -> None:
    reply = await client.post("/api/v1/collections", json=body)
    assert reply.status_code == 422
    assert reply.json()["code"] == "invalid_request"


async def test_unknown_field_is_named(client: httpx2.AsyncClient) -> None:
    reply = await client.post("/api/v1/collections", json={"name": "x", "colour": "red"})
    assert "colour" in reply.json()["detail"]


async def test_unknown_things_are_404(client: httpx2.AsyncClient) -> None:
    codes = {
        "/api/v1/collections/9": "collection_not_found",
        "/api/v1/collections/9/documents": "collection_not_found",
        "/api/v1/documents/9": "document_not_found",
        "/api/v1/documents/9/text": "document_not_found",
        "/api/v1/chunks/9": "chunk_not_found",
        "/api/v1/runs/run_9": "run_not_found",
        "/api/v1/nothing": "not_found",
    }
    for path, code in codes.items():
        reply = await client.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, code), path
    reply = await client.delete("/api/v1/documents/9")
    assert (reply.status_code, reply.json()["code"]) == (404, "document_not_found")


async def test_wrong_method_is_405(client: httpx2.AsyncClient) -> None:
    reply = await client.delete("/api/v1/collections")
    assert (reply.status_code, reply.json()["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET"
    for path in ("/v1/chat/completions", "/api/v1/sources/undo2/labels", "/api/v1/cache/verify"):
        reply = await client.get(path)
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST"), path
    assert (await client.get("/api/v1/collections/")).status_code == 404


async def test_sources(client: httpx2.AsyncClient, town: int) -> None:
    sources = (await client.get("/api/v1/sources")).json()["items"]
    assert [(item["name"], item["documents"]) for item in sources] == [
        ("council", 1),
        ("gazette", 1),
    ]
    path = f"/api/v1/sources/{sources[0]['id']}"
    reply = await client.patch(path, json={"reliability": 0.8})
    evidence = pytest.approx(sources[0]["evidence"])
    assert reply.json() == sources[0] | {"reliability": pytest.approx(0.8), "evidence": evidence}
    for value in (0, 1, 1.5, "high"):
        assert (await client.patch(path, json={"reliability": value})).status_code == 422
    reply = await client.patch("/api/v1/sources/99", json={"reliability": 0.5})
    assert (reply.status_code, reply.json()["code"]) == (404, "source_not_found")


async def test_cache(client: httpx2.AsyncClient, town: int) -> None:
    body = (await client.get("/api/v1/cache")).json()
    assert (body["model"], body["dtype"]) == ("Fake-1B", "float32")
    assert body["chunk_reuse"] == {
        "allowed": True,
        "reason": "proven",
        "calibration": None,
    }
    assert set(body["tiers"][0]) == {"name", "bytes", "budget_bytes", "entries", "pinned"}
    assert body["counters"]["hits_ram"] == 3


async def test_overview_counts_runs(client: httpx2.AsyncClient, town: int) -> None:
    for mode in ("auto", "off"):
        asked = {"question": "When does the pool open?", "collection": "town", "mode": mode}
        assert (await client.post("/api/v1/runs", json=asked)).status_code == 200
    body = (await client.get("/api/v1/admin/overview?hours=2")).json()
    assert (body["window_hours"], body["runs"], body["documents"]) == (2, 2, 2)
    assert set(body["tokens"]) == {"exact_prefix", "reused", "recomputed", "fresh"}
    assert len(body["series"]) == 48
    assert set(body["series"][0]) == set(body["tokens"]) | {"start", "runs"}
    assert body["series"][0]["start"].endswith("Z")
    assert body["ttft"]["reuse"]["n"] == body["ttft"]["off"]["n"] == 1
    assert body["tiers"][0]["name"] == "ram"
    assert (await client.get("/api/v1/admin/overview?hours=0")).status_code == 422


async def test_a_question_that_nothing_matches_is_no_measured_answer(
    client: httpx2.AsyncClient, town: int
) -> None:
    asked = {"question": "When?", "collection": "town", "filter": {"sources": ["nobody"]}}
    assert "no_match" in (await client.post("/api/v1/runs", json=asked | {"mode": "off"})).text
    (run,) = (await client.get("/api/v1/runs")).json()["items"]
    assert (run["finish_reason"], run["ttft_ms"]) == ("no_match", None)
    body = (await client.get("/api/v1/admin/overview")).json()
    assert (body["runs"], body["ttft"]["off"]["n"]) == (0, 0)


async def test_an_unexpected_error_says_nothing_about_the_inside(
    client: httpx2.AsyncClient, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(container.collections, "list", broken)
    reply = await client.get("/api/v1/collections")
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert reply.json()["code"] == "internal_error"
