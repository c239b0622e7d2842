"""What a request may hold: row numbers, texts, numbers, days, names of query parameters."""

import json

import httpx2
import pytest

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
HUGE = (2**53, 2**63, 10**20, -(2**63) - 1)
PATHS = [
    "collections/{}",
    "collections/{}/documents",
    "documents/{}",
    "documents/{}/text",
    "documents/{}/blocks",
    "chunks/{}",
    "sources/{}",
    "sources/{}/observations",
    "sources/versions/{}",
    "sources/estimate/{}",
    "collections/1/documents?after={}",
    "sources/1/observations?before={}",
    "documents/1/blocks?after={}",
    "jobs?collection_id={}",
    "cache/entries?document_id={}",
    "cache/explain?document_id={}",
    "cache/explain?chunk_id={}",
    "cache/explain?chunk_id=1&after={}",
]
BODIES: list[tuple[str, dict[str, object]]] = [
    ("cache/purge", {"document_id": 10**20}),
    ("cache/pin", {"chunk_id": 10**20}),
    ("cache/warm", {"chunk_id": 2**63}),
    ("cache/evict", {"scope": {"document_id": 2**63}}),
    ("collections/99999999999999999999/urls", {"urls": ["https://a.example"]}),
    ("collections/99999999999999999999/documents", {"name": "a.txt", "text": "a"}),
    ("sources/99999999999999999999/labels", {"question": "q", "answer": "a", "verdict": 1}),
]


def refused(reply: httpx2.Response, code: str = "invalid_request") -> str:
    """What is said of a value that is not taken."""
    assert (reply.status_code, reply.json()["code"]) == (422, code), reply.text
    return str(reply.json()["detail"])


async def test_a_number_no_row_can_have(client: httpx2.AsyncClient, town: int) -> None:
    job = (await client.get("/api/v1/jobs")).json()["items"][0]["id"]
    for path in (*PATHS, f"jobs/{job}/items?after={{}}"):
        for number in HUGE:
            refused(await client.get(f"/api/v1/{path.format(number)}"))
    for path, body in BODIES:
        refused(await client.post(f"/api/v1/{path}", json=body))


async def test_half_a_surrogate_pair_is_no_text(client: httpx2.AsyncClient, town: int) -> None:
    for path, body in [
        (f"collections/{town}/documents", {"name": "s.txt", "text": "lone \ud800 x"}),
        (f"collections/{town}/urls", {"urls": ["https://a.example/\ud800"]}),
        ("runs", {"question": "a \ud800", "collection": "town"}),
        ("runs", asked(history=[{"role": "user", "content": "\ud800"}])),
        ("runs", asked(policy="\ud800")),
    ]:
        reply = await client.post(f"/api/v1/{path}", content=json.dumps(body), headers=JSON)
        assert reply.status_code == 422, (path, reply.text)
        assert "surrogate" in reply.json()["detail"], (path, reply.text)
    lines = json.dumps({"name": "s.txt", "text": "lone \ud800 x"})
    reply = await client.post(
        f"/api/v1/collections/{town}/documents:bulk",
        content=lines,
        headers={"content-type": "application/x-ndjson"},
    )
    (item,) = reply.json()["items"]
    assert (item["status"], item["code"]) == ("refused", "invalid_value")
    for content in ("\ud800", [{"type": "text", "text": "\ud800"}]):
        messages = [{"role": "user", "content": content}]
        sent = json.dumps({"messages": messages})
        reply = await client.post("/v1/chat/completions", content=sent, headers=JSON)
        assert reply.status_code == 400, reply.text


def asked(**more: object) -> dict[str, object]:
    return {"question": "When does the pool open?", "collection": "town"} | more


async def test_types_are_those_of_json(client: httpx2.AsyncClient, town: int) -> None:
    source = (await client.get("/api/v1/sources")).json()["items"][0]["id"]
    label = {"question": "q", "answer": "a", "verdict": True}
    for path, body in [
        ("runs", asked(ratio="0.1")),
        ("runs", asked(max_tokens=True)),
        ("runs", asked(max_tokens="5")),
        ("runs", asked(temperature="0")),
        ("runs", asked(filter={"date_from": 0})),
        ("runs", asked(filter={"min_reliability": "0.5"})),
        (f"sources/{source}/labels", label),
        ("sources/undo", {"observations": ["1"]}),
        ("cache/evict", {"to_bytes": "5"}),
        (f"collections/{town}/documents", {"name": "a.txt", "text": "a", "date": 20261122}),
    ]:
        reply = await client.post(f"/api/v1/{path}", json=body)
        assert reply.status_code == 422, (path, body, reply.text)
    refused(await client.patch(f"/api/v1/sources/{source}", json={"reliability": "0.5"}))
    for field in ("max_tokens", "temperature"):
        chat = {"messages": [{"role": "user", "content": "Hello?"}], field: "1"}
        assert (await client.post("/v1/chat/completions", json=chat)).status_code == 400


async def test_whole_numbers_and_days_are_taken(client: httpx2.AsyncClient, town: int) -> None:
    days = {"date_from": "2026-11-22", "date_to": "2026-11-22"}
    body = asked(temperature=0, ratio=1, max_tokens=3, filter=days)
    assert (await client.post("/api/v1/runs", json=body)).status_code == 200
    new = {"name": "a.txt", "text": "a", "date": "2026-11-22"}
    reply = await client.post(f"/api/v1/collections/{town}/documents", json=new)
    assert reply.json()["items"][0]["date"] == "2026-11-22"
    source = (await client.get("/api/v1/sources")).json()["items"][0]["id"]
    label = {"question": "q", "answer": "a", "verdict": 1}
    reply = await client.post(f"/api/v1/sources/{source}/labels", json=label)
    assert reply.status_code == 201


async def test_unknown_query_parameters_are_named(client: httpx2.AsyncClient, town: int) -> None:
    document = f"/api/v1/collections/{town}/documents/by-external-id/a.txt"
    assert "'tag'" in refused(await client.put(f"{document}?tag=a", content=b"a"))
    for path in ("runs?after=abc", "collections?limit=1", "cache/watch?x", "admin/overview?hour=2"):
        refused(await client.get(f"/api/v1/{path}"))
    detail = refused(await client.get("/api/v1/jobs?states=failed&limt=1"))
    assert "'limt', 'states'" in detail
    assert "after, collection_id, limit, state" in detail
    for path in ("api/v1/runs?limit=1", "v1/models?api-version=1", "healthz?a=b", "metrics?a=b"):
        assert (await client.get(f"/{path}")).status_code == 200


async def test_a_question_has_something_to_read(client: httpx2.AsyncClient, town: int) -> None:
    source = (await client.get("/api/v1/sources")).json()["items"][0]["id"]
    for text in ("", "  ", "\u0000", "\u200b", " \u200b\u0007\n"):
        assert "question" in refused(await client.post("/api/v1/runs", json=asked(question=text)))
        label = {"question": text, "answer": "a", "verdict": 1}
        refused(await client.post(f"/api/v1/sources/{source}/labels", json=label))
        chat = {"messages": [{"role": "user", "content": text}]}
        assert (await client.post("/v1/chat/completions", json=chat)).status_code == 422
    long = {"question": "q" * 2001, "answer": "a", "verdict": 1}
    refused(await client.post(f"/api/v1/sources/{source}/labels", json=long))


async def test_refusals_are_in_plain_words(client: httpx2.AsyncClient, town: int) -> None:
    source = f"/api/v1/sources/{(await client.get('/api/v1/sources')).json()['items'][0]['id']}"
    new = f"/api/v1/collections/{town}/documents"
    for method, path, body, words in [
        ("PATCH", source, {}, "name what is to change"),
        ("PATCH", source, {"merged_into": -1}, "merged_into: should be greater than or equal to 0"),
        ("POST", "/api/v1/runs", asked(max_tokens="5"), "max_tokens: should be a whole number"),
        ("POST", "/api/v1/runs", asked(x=1), "x: is not known"),
        ("POST", "/api/v1/runs", [1], "The request should be an object"),
        ("POST", "/api/v1/runs", {"question": "a?"}, "collection: is missing"),
    ]:
        assert refused(await client.request(method, path, json=body)) == words
    days = asked(filter={"date_from": "2026-11-22T10:00"})
    assert refused(await client.post("/api/v1/runs", json=days)) == (
        "filter.date_from: write a day as 2026-11-22"
    )
    for text, words in [
        ({"name": "a.txt"}, "text: is missing"),
        ([], "The request should be an object"),
    ]:
        assert refused(await client.post(new, json=text), "invalid_value") == words
    reply = await client.post("/api/v1/runs", content=b"{", headers=JSON)
    assert refused(reply) == "The body is not JSON"
    chat = {"messages": [{"role": "user", "content": 5}]}
    reply = await client.post("/v1/chat/completions", json=chat)
    assert reply.json()["error"]["message"] == (
        "messages.0.content: should be text; messages.0.content: should be a valid list"
    )


async def test_a_name_may_be_as_long_as_is_said(client: httpx2.AsyncClient) -> None:
    reply = await client.post("/api/v1/collections", json={"name": "x" * 200})
    assert reply.status_code == 201
    detail = refused(await client.post("/api/v1/collections", json={"name": "x" * 201}))
    assert detail == "name: should have at most 200 characters"
    reply = await client.post("/api/v1/collections", json={"name": "a\u0007b"})
    assert "1 to 200 printable" in refused(reply, "invalid_value")
