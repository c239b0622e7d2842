"""Jobs over HTTP: what an upload, a deletion and a list of addresses become."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.api.routes import bulk
from app.bootstrap import Container
from app.errors import StorageBusy
from tests.integration.api.conftest import POOL

pytestmark = pytest.mark.anyio

JOBS = "/api/v1/jobs"


@pytest.fixture
async def empty(client: httpx2.AsyncClient) -> str:
    """The path of a new collection."""
    reply = await client.post("/api/v1/collections", json={"name": "new"})
    return f"/api/v1/collections/{reply.json()['id']}"


async def test_an_upload_is_a_job_with_an_item_a_file(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    parts = [("file", ("a.md", POOL.encode())), ("file", ("b.bin", b"\0\1"))]
    reply = await client.post(f"{empty}/documents", files=parts)
    job_id = reply.json()["job_id"]
    assert reply.headers["location"] == f"{JOBS}/{job_id}"
    await container.worker.wait_idle()
    job = (await client.get(f"{JOBS}/{job_id}")).json()
    assert (job["kind"], job["state"], job["error"]) == ("ingest", "partial", None)
    assert (job["total"], job["done"], job["failed"], job["skipped"]) == (2, 1, 1, 0)
    failed = (await client.get(f"{JOBS}/{job_id}/items?state=failed")).json()
    assert [item["key"] for item in failed["items"]] == ["b.bin"]
    assert "b.bin" in failed["items"][0]["error"]
    reply = await client.post(f"{JOBS}/{job_id}/retry")
    assert (reply.status_code, reply.json()["state"]) == (200, "queued")
    await container.worker.wait_idle()
    assert (await client.get(f"{JOBS}/{job_id}")).json()["failed"] == 1
    page = (await client.get(f"{JOBS}?state=partial&limit=1")).json()
    assert ([item["id"] for item in page["items"]], page["has_more"]) == ([job_id], False)
    reply = await client.post(f"{JOBS}/{job_id}/cancel")
    assert (reply.status_code, reply.json()["code"]) == (409, "job_not_open")
    reply = await client.get(f"{JOBS}/nothing")
    assert (reply.status_code, reply.json()["code"]) == (404, "job_not_found")


async def test_a_queued_job_is_cancelled_and_tried_again(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    await container.worker.stop()
    reply = await client.post(f"{empty}/documents", files={"file": ("a.md", POOL.encode())})
    job_id, document_id = reply.json()["job_id"], reply.json()["items"][0]["id"]
    assert (await client.post(f"{JOBS}/{job_id}/cancel")).json()["state"] == "cancelled"
    document = (await client.get(f"/api/v1/documents/{document_id}")).json()
    assert (document["state"], document["error"]) == ("failed", "its ingestion was cancelled")
    await client.post(f"{JOBS}/{job_id}/retry")
    container.worker.start()
    container.worker.submit()
    await container.worker.wait_idle()
    assert (await client.get(f"/api/v1/documents/{document_id}")).json()["state"] == "ready"


async def test_events_follow_a_job_to_its_end(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    await container.worker.stop()
    reply = await client.post(f"{empty}/documents", files={"file": ("a.md", POOL.encode())})
    events = []
    url = f"{JOBS}/{reply.json()['job_id']}/events"
    following = asyncio.create_task(client.get(url))
    await asyncio.sleep(0.1)
    container.worker.start()
    lines = (await following).text.splitlines()
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert (events[0], events[-1]) == ("job.updated", "job.completed")
    assert (data[-1]["state"], data[-1]["done"]) == ("succeeded", 1)


async def test_a_deletion_that_is_not_waited_for(
    client: httpx2.AsyncClient, container: Container, town: int
) -> None:
    page = (await client.get(f"/api/v1/collections/{town}/documents")).json()
    path = f"/api/v1/documents/{page['items'][0]['id']}"
    wrong = await client.delete(path, headers={"If-Match": '"1-0000000000000000"'})
    assert (wrong.status_code, wrong.json()["code"]) == (412, "precondition_failed")
    tag = (await client.get(path)).headers["etag"]
    await container.worker.stop()
    reply = await client.delete(path, headers={"If-Match": tag, "Prefer": "respond-async"})
    assert (reply.status_code, reply.json()["kind"]) == (202, "delete")
    assert (await client.get(path)).status_code == 404  # from here on nobody finds it
    container.worker.start()
    await container.worker.wait_idle()
    job = (await client.get(reply.headers["location"])).json()
    assert job["state"] == "succeeded"
    assert set(job["result"]) == {"rows", "words", "vectors", "runs", "observations", "kv"}
    assert job["result"]["kv"]["entries"] == 2 * page["items"][0]["chunks"]


async def test_json_documents_and_lines(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    reply = await client.post(f"{empty}/documents", json={"name": "a.md", "text": POOL})
    assert reply.status_code == 202
    assert reply.json()["items"][0]["media_type"] == "text/markdown"
    lines = [
        json.dumps({"name": "a.md", "text": POOL}),
        json.dumps({"name": "b.md", "text": "B\n", "external_id": "b", "source": "me"}),
        "",
        "{",
        json.dumps({"name": "c.md"}),
        json.dumps({"name": "d.md", "text": ""}),
        json.dumps({"name": "e.md", "text": "x" * 200_000}),
    ]
    headers = {"content-type": "application/x-ndjson"}
    body = "\n".join(lines).encode()
    reply = await client.post(f"{empty}/documents:bulk", content=body, headers=headers)
    found = [(item["line"], item["status"], item["code"]) for item in reply.json()["items"]]
    assert found == [
        (1, "unchanged", None),
        (2, "created", None),
        (4, "refused", "invalid_value"),
        (5, "refused", "invalid_value"),
        (6, "refused", "empty_document"),
        (7, "refused", "document_too_large"),
    ]
    assert "text" in reply.json()["items"][3]["detail"]
    await container.worker.wait_idle()
    job = (await client.get(f"{JOBS}/{reply.json()['job_id']}")).json()
    assert (job["state"], job["total"], job["done"] + job["skipped"]) == ("succeeded", 2, 2)
    reply = await client.post(f"{empty}/documents:bulk", json={})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_value")


LINES = {"content-type": "application/x-ndjson"}


def lines_of(*names: str) -> bytes:
    return b"".join(
        json.dumps({"name": f"{name}.md", "text": name}).encode() + b"\n" for name in names
    )


async def test_lines_beyond_the_limit_leave_those_before(
    client: httpx2.AsyncClient, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MAX_LINES", 2)
    body = lines_of("a", "b") + b"\n" + lines_of("c", "d")
    reply = await client.post(f"{empty}/documents:bulk", content=body, headers=LINES)
    assert reply.status_code == 202
    found = [(item["line"], item["status"], item["code"]) for item in reply.json()["items"]]
    assert found == [
        (1, "created", None),
        (2, "created", None),
        (4, "refused", "too_many_lines"),
    ]
    assert reply.headers["location"] == f"{JOBS}/{reply.json()['job_id']}"


async def test_a_database_that_is_held_half_way_leaves_what_was_taken(
    client: httpx2.AsyncClient, container: Container, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, calls = container.ingest.accept, 0

    async def accept_two(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise StorageBusy("another program holds the database")
        return await accept(*args)

    monkeypatch.setattr(container.ingest, "accept", accept_two)
    body = lines_of("a", "b", "c", "d")
    reply = await client.post(f"{empty}/documents:bulk", content=body, headers=LINES)
    assert reply.status_code == 202
    found = [(item["line"], item["status"], item["code"]) for item in reply.json()["items"]]
    assert found[2:] == [(3, "refused", "storage_busy")]
    reply = await client.post(f"{empty}/documents:bulk", content=body, headers=LINES)
    assert reply.status_code == 503  # nothing was taken


async def test_a_body_that_is_too_long_leaves_what_was_taken(
    client: httpx2.AsyncClient, empty: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield lines_of("a")
        while True:
            yield b"\n" * 500_000

    reply = await client.post(f"{empty}/documents:bulk", content=endless(), headers=LINES)
    assert reply.status_code == 202
    taken, left = reply.json()["items"]
    assert (taken["line"], taken["status"]) == (1, "created")
    assert (left["status"], left["code"]) == ("refused", "request_too_large")
    assert "all after it" in left["detail"]


async def test_escapes_do_not_make_a_document_too_large(
    client: httpx2.AsyncClient, empty: str
) -> None:
    small, large = "\x01" * 49_000, "\x01" * 51_000
    for text, status in ((small, 202), (large, 413)):
        body = {"name": "a.md", "text": text, "tags": ["t"]}
        assert (await client.post(f"{empty}/documents", json=body)).status_code == status
        content = json.dumps(body | {"name": "b.md"}).encode()
        reply = await client.post(f"{empty}/documents:bulk", content=content, headers=LINES)
        (item,) = reply.json()["items"]
        assert item["status"] == ("unchanged" if status == 202 else "refused")


async def test_the_same_key_is_answered_once(client: httpx2.AsyncClient, empty: str) -> None:
    path, key = f"{empty}/documents", {"Idempotency-Key": "k1"}
    first = await client.post(path, files={"file": ("a.md", b"one")}, headers=key)
    again = await client.post(path, files={"file": ("a.md", b"one")}, headers=key)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = await client.post(path, files={"file": ("a.md", b"two")}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    bad = await client.post(
        path, files={"file": ("a.md", b"")}, headers={"Idempotency-Key": " " * 300}
    )
    assert bad.status_code == 422
    lines = {"content-type": "application/x-ndjson", "Idempotency-Key": "k2"}
    body = json.dumps({"name": "n.md", "text": "n"}).encode()
    replies = [await client.post(f"{path}:bulk", content=body, headers=lines) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    large = json.dumps({"name": "l.md", "text": "l" * 40_000}).encode() + b"\n"
    lines = lines | {"Idempotency-Key": "k3"}
    reply = await client.post(f"{path}:bulk", content=8 * large, headers=lines)
    assert (reply.status_code, reply.json()["code"]) == (413, "document_too_large")
    # What is deleted is not shown again by a kept answer either.
    await client.delete(f"/api/v1/documents/{first.json()['items'][0]['id']}")
    anew = await client.post(path, files={"file": ("a.md", b"one")}, headers=key)
    assert anew.json()["items"][0]["id"] != first.json()["items"][0]["id"]


async def test_addresses_are_refused_where_the_operator_allows_none(
    client: httpx2.AsyncClient, empty: str
) -> None:
    reply = await client.post(f"{empty}/urls", json={"urls": ["http://example.org/"]})
    assert (reply.status_code, reply.json()["code"]) == (422, "fetch_refused")
    assert "allowed_fetch_hosts" in reply.json()["detail"]
