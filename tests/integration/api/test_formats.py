"""Uploads of other formats than text, read by the child process of a whole application."""

import asyncio
import contextlib
import os

import httpx2
import psutil
import pytest

from app.bootstrap import Container, open_container
from app.settings import Settings
from tests.fakes.app import use_fakes
from tests.fakes.decoder import FakeDecoder
from tests.fakes.office_files import make_docx, make_mail, make_xlsx

pytestmark = pytest.mark.anyio

WORD = make_docx(("Title", "Kiln Lane pool"), ("Normal", "It opens at 7:00."))
FILES = {
    "pool.docx": WORD,
    "fees.xlsx": make_xlsx({"Fees": [["Ticket", "Euro"], ["Day", 4.8]]}),
    "note.eml": make_mail("The pool is closed.\n", Subject="Closed").as_bytes(),
    "fees.csv": b"Ticket,Euro\nDay,4.80\n",
    "fees.jsonl": b'{"ticket": "day"}\n{"ticket": "year"}\n',
    "cut.docx": WORD[:2000],
}


def children() -> set[int]:
    """Processes of this one that read files."""
    found = set()
    for child in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile; others' tests have some
            if "retrieval.parsing.child" in child.cmdline():
                found.add(child.pid)
    return found


async def test_formats(client: httpx2.AsyncClient, container: Container) -> None:
    reply = await client.post("/api/v1/collections", json={"name": "new"})
    path = f"/api/v1/collections/{reply.json()['id']}/documents"
    await client.post(path, files=[("file", (name, data)) for name, data in FILES.items()])
    await container.worker.wait_idle()
    found = {item["name"]: item for item in (await client.get(path)).json()["items"]}
    assert {name: item["state"] for name, item in found.items()} == {
        name: "failed" if name == "cut.docx" else "ready" for name in FILES
    }
    assert found["pool.docx"]["title"] == "Kiln Lane pool"
    assert found["note.eml"]["media_type"] == "message/rfc822"
    assert "it may be damaged" in found["cut.docx"]["error"]
    assert len(children()) == 1


async def test_no_child_is_left(
    settings: Settings, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch, decoder)
    async with open_container(settings, lambda _: None) as container:
        assert not children()
        collection = await container.collections.create("new")
        await container.ingest.accept(collection.id, "uploads", "a.csv", FILES["fees.csv"], None)
        container.worker.submit()
        await asyncio.wait_for(container.worker.wait_idle(), 60)
        assert children()
    assert not children()
