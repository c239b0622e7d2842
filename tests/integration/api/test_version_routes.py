"""Documents under their sender's names: replaced as one step, and folders kept in step."""

import hashlib

import httpx2
import pytest

from app.bootstrap import Container
from retrieval.types import Query

pytestmark = pytest.mark.anyio

OLD, NEW = "The ferry leaves at eight.\n", "The ferry leaves at nine.\n"


@pytest.fixture
async def base(client: httpx2.AsyncClient) -> str:
    reply = await client.post("/api/v1/collections", json={"name": "port"})
    return f"/api/v1/collections/{reply.json()['id']}"


async def found(container: Container, base: str, word: str) -> list[str]:
    """Texts that a search by word and one by meaning come up with."""
    retriever = container.answers._retriever
    hits = await retriever.search(Query(word, int(base.rpartition("/")[2]), 5))
    rows = await container.chunks.passages([hit.chunk_id for hit in hits])
    return [row.text.strip() for row in rows]


async def test_a_new_version_takes_the_place_of_the_old_one(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    path = f"{base}/documents/by-external-id/ferry/times.md"
    first = await client.put(path, content=OLD.encode())
    assert (first.status_code, first.json()["name"]) == (202, "times.md")
    assert first.json()["external_id"] == "ferry/times.md"
    await container.worker.wait_idle()
    again = await client.put(path, content=OLD.encode())
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    await container.worker.stop()
    second = await client.put(
        path, content=NEW.encode(), headers={"If-Match": first.headers["etag"]}
    )
    assert second.status_code == 202
    assert await found(container, base, "ferry") == [OLD.strip()]  # until the new one is there
    container.worker.start()
    await container.worker.wait_idle()
    assert await found(container, base, "ferry") == [NEW.strip()]
    page = (await client.get(f"{base}/documents")).json()
    assert [item["id"] for item in page["items"]] == [second.json()["id"]]
    assert (await client.get(f"/api/v1/documents/{first.json()['id']}")).status_code == 404
    late = await client.put(path, content=b"x", headers={"If-Match": first.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    late = await client.put(path, content=b"x", headers={"If-None-Match": "*"})
    assert late.status_code == 412


async def test_a_version_on_its_way_gives_way_to_a_newer_one(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    path = f"{base}/documents/by-external-id/a"
    live = await client.put(path, content=b"A one")
    await container.worker.wait_idle()
    await container.worker.stop()
    await client.put(path, content=b"A two")
    last = await client.put(path, content=b"A three")
    container.worker.start()
    await container.worker.wait_idle()
    page = (await client.get(f"{base}/documents")).json()
    assert [item["id"] for item in page["items"]] == [last.json()["id"]]
    back = await client.put(path, content=b"A one")  # what it was before is a new version again
    await container.worker.wait_idle()
    assert back.json()["id"] not in {live.json()["id"], last.json()["id"]}
    assert await found(container, base, "A") == ["A one"]


async def test_a_stale_tag_does_not_undo_a_version_on_its_way(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    path = f"{base}/documents/by-external-id/a"
    first = await client.put(path, content=b"A one")
    await container.worker.wait_idle()
    await container.worker.stop()  # the next version stays staged
    seen = {"If-Match": first.headers["etag"]}
    second = await client.put(path, content=b"A two", headers=seen)
    assert second.status_code == 202
    stale = await client.put(path, content=b"B two", headers=seen)
    assert stale.status_code == 412
    assert second.headers["etag"] in stale.json()["detail"]
    latest = {"If-Match": second.headers["etag"]}
    third = await client.put(path, content=b"A three", headers=latest)
    assert third.status_code == 202
    any_version = await client.put(path, content=b"A four", headers={"If-Match": "*"})
    assert any_version.status_code == 202
    container.worker.start()
    await container.worker.wait_idle()
    assert await found(container, base, "A") == ["A four"]


async def test_tags_and_date_of_a_version(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    path = f"{base}/documents/by-external-id/a"
    first = await client.put(
        path, content=b"A one", params={"tags": "law, tax", "date": "2001-05-01"}
    )
    assert (first.json()["tags"], first.json()["date"]) == (["law", "tax"], "2001-05-01")
    second = await client.put(path, content=b"A two")
    assert (second.json()["tags"], second.json()["date"]) == (["law", "tax"], "2001-05-01")
    third = await client.put(path, content=b"A three", params={"tags": "press"})
    assert (third.json()["tags"], third.json()["date"]) == (["press"], "2001-05-01")
    assert (await client.put(path, content=b"x", params={"date": "May"})).status_code == 422


async def test_limits_of_a_version(client: httpx2.AsyncClient, base: str) -> None:
    path = f"{base}/documents/by-external-id/a"
    reply = await client.put(path, content=b"x" * 50_001)
    assert (reply.status_code, reply.json()["code"]) == (413, "document_too_large")
    assert "50,000" in reply.json()["detail"]
    assert (await client.put(path, content=b"")).json()["code"] == "empty_document"
    assert (await client.put(f"{path}{'x' * 1000}", content=b"x")).status_code == 422
    reply = await client.put(f"{path}{chr(0x1F980) * 600}", content=b"x")
    assert reply.status_code == 422
    assert "2,000 bytes" in reply.json()["detail"]


def manifest(files: dict[str, str]) -> dict[str, object]:
    listed = [
        {"path": path, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for path, text in files.items()
    ]
    return {"source": "s", "scope": "folder", "files": listed}


async def test_a_folder_is_planned_and_what_is_gone_is_removed_last(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    files = {f"{number:02}.md": f"text {number}" for number in range(12)}
    plan = (await client.post(f"{base}/sync:plan", json=manifest(files))).json()
    assert plan["added"] == sorted(files)
    assert await container.sources.named("s") is None  # planning makes nothing
    for path, text in files.items():
        url = f"{base}/documents/by-external-id/folder/{path}?source=s"
        await client.put(url, content=text.encode())
    await container.worker.wait_idle()
    changed = {"00.md": "other"} | dict(list(files.items())[2:])
    plan = (await client.post(f"{base}/sync:plan", json=manifest(changed))).json()
    assert plan == {
        "added": [],
        "changed": ["00.md"],
        "removed": ["01.md"],
        "unchanged": 10,
        "is_mass_removal": False,
    }
    plan = (await client.post(f"{base}/sync:plan", json=manifest({}))).json()
    assert (len(plan["removed"]), plan["is_mass_removal"]) == (12, True)
    asked = {"source": "s", "scope": "folder", "paths": plan["removed"]}
    reply = await client.post(f"{base}/sync:remove", json=asked)
    assert (reply.status_code, reply.json()["code"]) == (409, "mass_removal")
    asked["paths"] = ["01.md", "no such file"]
    reply = await client.post(f"{base}/sync:remove", json=asked)
    await container.worker.wait_idle()
    job = (await client.get(reply.headers["location"])).json()
    assert (job["state"], job["done"]) == ("succeeded", 1)
    asked["paths"] = ["no such file"]
    reply = await client.post(f"{base}/sync:remove", json=asked)
    assert (reply.status_code, reply.json()["code"]) == (404, "document_not_found")
    assert "'no such file'" in reply.json()["detail"]
    asked = asked | {"paths": sorted(files), "force": True}
    await client.post(f"{base}/sync:remove", json=asked)
    await container.worker.wait_idle()
    assert (await client.get(f"{base}/documents")).json()["items"] == []


async def test_a_folder_that_is_gone_whole_is_not_followed(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    for path in ("a.md", "b.md"):
        url = f"{base}/documents/by-external-id/folder/{path}?source=s"
        await client.put(url, content=path.encode())
    await container.worker.wait_idle()
    plan = (await client.post(f"{base}/sync:plan", json=manifest({}))).json()
    assert (plan["removed"], plan["is_mass_removal"]) == (["a.md", "b.md"], True)
    asked = {"source": "s", "scope": "folder", "paths": ["a.md", "b.md"]}
    assert (await client.post(f"{base}/sync:remove", json=asked)).status_code == 409
    asked["paths"] = ["a.md"]
    assert (await client.post(f"{base}/sync:remove", json=asked)).status_code == 202
    await container.worker.wait_idle()
    plan = (await client.post(f"{base}/sync:plan", json=manifest({}))).json()
    assert (plan["removed"], plan["is_mass_removal"]) == (["b.md"], False)  # one may always go


async def test_what_failed_counts_as_changed_until_it_is_in(
    client: httpx2.AsyncClient, container: Container, base: str
) -> None:
    url = f"{base}/documents/by-external-id/folder/bad.md?source=s"
    await client.put(url, content=b"\x00\x01\x02")
    await container.worker.wait_idle()
    digest = hashlib.sha256(b"\x00\x01\x02").hexdigest()
    listed = {"source": "s", "scope": "folder", "files": [{"path": "bad.md", "sha256": digest}]}
    plan = (await client.post(f"{base}/sync:plan", json=listed)).json()
    assert (plan["changed"], plan["unchanged"], plan["removed"]) == (["bad.md"], 0, [])
    plan = (await client.post(f"{base}/sync:plan", json=listed | {"files": []})).json()
    assert plan["removed"] == ["bad.md"]
