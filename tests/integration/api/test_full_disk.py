"""A database that may not grow, behind the real routes: refused with its reason, never half there.

The KV store on a full disk is tested with the model (tests/e2e/test_full_disk.py).
"""

import asyncio

import httpx2
import pytest
from sqlalchemy import text

from app.bootstrap import Container
from app.ingest.worker import WorkerConfig

pytestmark = pytest.mark.anyio

LARGE = b"a line of a long document\n" * 1_500
FORBID_GROWTH = 1  # pages; SQLite takes the present size where that is larger
ALLOW_GROWTH = 1_000_000


async def limit_pages(container: Container, pages: int) -> None:
    """A property of each connection, so every one in the pool is told."""
    sessions = [container.database.session() for _ in range(5)]
    for opened in [await session.__aenter__() for session in sessions]:
        await opened.execute(text(f"PRAGMA max_page_count = {pages}"))
    for session in sessions:
        await session.__aexit__(None, None, None)


async def test_an_upload_is_refused_whole_and_taken_once_there_is_room(
    client: httpx2.AsyncClient, container: Container, town: int
) -> None:
    path = f"/api/v1/collections/{town}/documents"
    before = (await client.get(path)).json()
    await limit_pages(container, FORBID_GROWTH)
    reply = await client.post(path, files={"file": ("large.md", LARGE)})
    assert (reply.status_code, reply.json()["code"]) == (507, "storage_full")
    assert reply.headers["content-type"] == "application/problem+json"
    assert (await client.get(path)).json() == before
    await limit_pages(container, ALLOW_GROWTH)
    reply = await client.post(path, files={"file": ("large.md", LARGE)})
    assert reply.status_code == 202
    await container.worker.wait_idle()
    assert [d["state"] for d in (await client.get(path)).json()["items"]] == ["ready"] * 3


async def test_what_was_accepted_stays_and_is_finished_later(
    client: httpx2.AsyncClient, container: Container, town: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up behind the acknowledgement: no chunk is there until all of them are."""
    path = f"/api/v1/collections/{town}/documents"
    await container.worker.stop()
    reply = await client.post(path, files={"file": ("large.md", LARGE)})
    document_id = reply.json()["items"][0]["id"]
    await limit_pages(container, FORBID_GROWTH)
    worker = container.worker
    monkeypatch.setattr(worker, "_config", WorkerConfig(retry_s=0.01))
    worker.start()
    for _ in range(50):
        held = (await client.get(f"/api/v1/documents/{document_id}")).json()
        assert (held["state"], held["error"], held["chunks"]) == ("received", None, 0)
    await limit_pages(container, ALLOW_GROWTH)
    worker.submit()
    async with asyncio.timeout(300):
        await worker.wait_idle()
    await worker.stop()
    held = (await client.get(f"/api/v1/documents/{document_id}")).json()
    assert held["state"] == "ready"
    assert held["chunks"] == held["chunks_embedded"] == held["chunks_cached"] > 1
