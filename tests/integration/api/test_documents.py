"""Upload, listing, reading and removal of documents over HTTP."""

import tracemalloc
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.bootstrap import Container
from app.decoder.types import PurgeReport
from tests.fakes.decoder import FakeDecoder
from tests.integration.api.conftest import POOL

pytestmark = pytest.mark.anyio


@pytest.fixture
async def empty(client: httpx2.AsyncClient) -> str:
    """The documents path of a new collection."""
    reply = await client.post("/api/v1/collections", json={"name": "new"})
    return f"/api/v1/collections/{reply.json()['id']}/documents"


async def test_a_document_is_accepted_and_becomes_ready(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    reply = await client.post(empty, files={"file": ("pool.md", POOL.encode(), "text/markdown")})
    assert reply.status_code == 202
    (document,) = reply.json()["items"]
    assert (document["name"], document["source"]) == ("pool.md", "uploads")
    assert document["size_bytes"] == len(POOL.encode())
    await container.worker.wait_idle()
    document = (await client.get(f"/api/v1/documents/{document['id']}")).json()
    assert document["state"] == "ready"
    assert document["title"] == "Kiln Lane pool"
    assert document["chunks"] == document["chunks_embedded"] == document["chunks_cached"] == 1
    assert set(document) == {
        "id",
        "collection_id",
        "name",
        "title",
        "source",
        "media_type",
        "size_bytes",
        "state",
        "error",
        "chunks",
        "chunks_embedded",
        "chunks_cached",
        "tokens",
        "created_at",
        "date",
        "tags",
        "duplicates",
        "external_id",
    }
    assert document["duplicates"] == []


async def test_tags_and_a_date_are_kept(client: httpx2.AsyncClient, empty: str) -> None:
    told = {"tags": "law, tax,", "date": "2026-11-22"}
    reply = await client.post(empty, files={"file": ("a.md", b"text")}, data=told)
    (document,) = reply.json()["items"]
    assert (document["tags"], document["date"]) == (["law", "tax"], "2026-11-22")
    for wrong in ({"tags": "x" * 65}, {"date": "22.11.2026"}, {"owner": "me"}):
        reply = await client.post(empty, files={"file": ("b.md", b"other")}, data=wrong)
        assert reply.status_code == 422, reply.text
    assert len((await client.get(empty)).json()["items"]) == 1


async def test_the_same_bytes_are_one_document(client: httpx2.AsyncClient, empty: str) -> None:
    first = await client.post(empty, files={"file": ("a.md", b"same")})
    second = await client.post(empty, files={"file": ("b.md", b"same")})
    assert first.json()["items"][0]["id"] == second.json()["items"][0]["id"]


async def test_parts_that_cannot_be_taken_do_not_touch_the_others(
    client: httpx2.AsyncClient, empty: str
) -> None:
    parts = [
        ("file", ("good.md", b"text")),
        ("file", ("empty.md", b"")),
        ("file", ("big.md", b"x" * 50_001)),
        ("file", ("largest.md", b"y" * 50_000)),
    ]
    reply = await client.post(empty, files=parts)
    assert reply.status_code == 202
    good, nothing, big, largest = reply.json()["items"]
    assert good["state"] == "received"
    assert largest["size_bytes"] == 50_000
    assert (nothing["name"], nothing["code"]) == ("empty.md", "empty_document")
    assert (big["name"], big["code"]) == ("big.md", "document_too_large")
    assert "50,000" in big["detail"]


async def test_the_only_part_being_too_large_is_413(client: httpx2.AsyncClient, empty: str) -> None:
    reply = await client.post(empty, files={"file": ("big.md", b"x" * 50_001)})
    assert reply.status_code == 413
    assert reply.json()["code"] == "document_too_large"
    assert "50,000" in reply.json()["detail"]


def multipart(num_pieces: int, piece: bytes) -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """A file that is made while it is sent, without a stated length."""

    async def body() -> AsyncIterator[bytes]:
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(num_pieces):
            yield piece
        yield b"\r\n--cut--\r\n"

    return body(), {"content-type": "multipart/form-data; boundary=cut"}


async def test_fifty_megabytes_are_refused_without_being_held(
    client: httpx2.AsyncClient, empty: str
) -> None:
    content, headers = multipart(800, b"x" * 65_536)
    tracemalloc.start()
    try:
        reply = await client.post(empty, content=content, headers=headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reply.status_code == 413
    assert "50,000" in reply.json()["detail"]
    assert peak < 5_000_000


async def test_a_stated_length_above_all_limits_is_refused_unread(
    client: httpx2.AsyncClient, empty: str
) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-type": "multipart/form-data; boundary=cut", "content-length": "9999999999"}
    reply = await client.post(empty, content=never(), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (413, "document_too_large")


async def test_uploads_that_are_none(client: httpx2.AsyncClient, empty: str) -> None:
    replies = [
        await client.post(empty, json={"file": "x"}),
        await client.post(empty, files={"other": ("a.md", b"text")}),
        await client.post(empty, files={"file": ("a.md", b"text")}, data={"colour": "red"}),
        await client.post(empty, files={"source": (None, "me")}),
        await client.post(
            empty, content=b"--cut\r\n", headers={"content-type": "multipart/form-data"}
        ),
    ]
    for reply in replies:
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_value"), reply.text


async def test_json_bodies_have_a_limit(client: httpx2.AsyncClient) -> None:
    reply = await client.post("/api/v1/collections", json={"name": "x" * 5_000_000})
    assert (reply.status_code, reply.json()["code"]) == (413, "request_too_large")


async def test_what_cannot_be_parsed_fails_and_says_why(
    client: httpx2.AsyncClient, container: Container, empty: str
) -> None:
    reply = await client.post(empty, files={"file": ("a.bin", b"\0\1")})
    await container.worker.wait_idle()
    document = (await client.get(f"/api/v1/documents/{reply.json()['items'][0]['id']}")).json()
    assert document["state"] == "failed"
    assert "a.bin" in document["error"]


async def test_pages_are_newest_first(client: httpx2.AsyncClient, empty: str) -> None:
    for number in range(5):
        await client.post(empty, files={"file": (f"{number}.md", f"text {number}".encode())})
    page = (await client.get(f"{empty}?limit=2")).json()
    assert [item["name"] for item in page["items"]] == ["4.md", "3.md"]
    assert page["has_more"]
    after = page["items"][-1]["id"]
    page = (await client.get(f"{empty}?limit=3&after={after}")).json()
    assert [item["name"] for item in page["items"]] == ["2.md", "1.md", "0.md"]
    assert not page["has_more"]
    assert (await client.get(f"{empty}?limit=0")).status_code == 422


async def test_text_and_chunks_agree(client: httpx2.AsyncClient, town: int) -> None:
    asked = {"question": "When does the pool open?", "collection": "town"}
    await client.post("/api/v1/runs", json=asked)
    (run,) = (await client.get("/api/v1/runs")).json()["items"]
    citation = (await client.get(f"/api/v1/runs/{run['run_id']}")).json()["citations"][0]
    text = (await client.get(f"/api/v1/documents/{citation['document_id']}/text")).json()
    assert set(text) == {"id", "title", "text"}
    assert text["text"][citation["start"] : citation["end"]] == citation["quote"]
    chunk = (await client.get(f"/api/v1/chunks/{citation['chunk_id']}")).json()
    assert set(chunk) == {
        "id",
        "document_id",
        "title",
        "source",
        "reliability",
        "label",
        "text",
        "start",
        "end",
        "page",
    }
    assert chunk["text"] == text["text"][chunk["start"] : chunk["end"]]


async def test_blocks_are_served_page_by_page(client: httpx2.AsyncClient, town: int) -> None:
    page = (await client.get(f"/api/v1/collections/{town}/documents")).json()
    path = f"/api/v1/documents/{page['items'][1]['id']}"
    text = (await client.get(f"{path}/text")).json()["text"]
    blocks = (await client.get(f"{path}/blocks")).json()
    assert blocks["has_more"] is False
    found = [(item["kind"], item["level"], item["page"]) for item in blocks["items"]]
    assert found == [("heading", 1, None), ("paragraph", 0, None), ("paragraph", 0, None)]
    assert "Kiln Lane pool" in text[blocks["items"][0]["start"] : blocks["items"][0]["end"]]
    part = (await client.get(f"{path}/blocks?limit=1&after=0")).json()
    assert (part["items"], part["has_more"]) == (blocks["items"][1:2], True)
    assert (await client.get("/api/v1/documents/99/blocks")).status_code == 404


async def test_a_delete_that_misses_a_tier_says_so(
    client: httpx2.AsyncClient, town: int, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def purge(token_ids: object) -> PurgeReport:
        return PurgeReport(0, 0, complete=False)

    monkeypatch.setattr(decoder, "purge", purge)
    page = (await client.get(f"/api/v1/collections/{town}/documents")).json()
    path = f"/api/v1/documents/{page['items'][0]['id']}"
    reply = await client.delete(path)
    assert reply.status_code == 202
    job = reply.json()
    assert (job["kind"], job["state"], job["stage"]) == ("delete", "queued", "kv")
    assert reply.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{path}/text")).status_code == 404


async def test_the_text_of_a_document_that_waits_for_its_removal_is_not_shown(
    client: httpx2.AsyncClient, container: Container, town: int
) -> None:
    await container.worker.stop()
    page = (await client.get(f"/api/v1/collections/{town}/documents")).json()
    path = f"/api/v1/documents/{page['items'][0]['id']}"
    reply = await client.delete(path, headers={"Prefer": "respond-async"})
    assert reply.status_code == 202
    assert (await client.get(f"{path}/text")).status_code == 404


async def test_delete_reports_what_went(
    client: httpx2.AsyncClient, town: int, decoder: FakeDecoder
) -> None:
    stored = len(decoder.stored)
    page = (await client.get(f"/api/v1/collections/{town}/documents")).json()
    budget = page["items"][0]
    reply = await client.delete(f"/api/v1/documents/{budget['id']}")
    assert reply.json()["chunks"] == budget["chunks"]
    assert reply.json()["kv_entries"] == 2 * budget["chunks"]
    assert reply.json()["kv_bytes"] > 0
    assert len(decoder.stored) == stored - budget["chunks"]
    assert (await client.get(f"/api/v1/documents/{budget['id']}")).status_code == 404
