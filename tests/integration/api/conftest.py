"""An application over real SQLite and a fake decoder, and a client that calls it in-process."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from app.bootstrap import Container, open_container
from app.main import create_app
from app.settings import Settings
from tests.fakes.app import make_settings, use_fakes
from tests.fakes.decoder import FakeDecoder

ANSWER = "The pool opens at 7:00 on weekdays. A day ticket costs 4.80 euros."
POOL = """# Kiln Lane pool

The pool in Kiln Lane opens at 7:00 on weekdays and at 9:30 at weekends.

A day ticket for the pool costs 4.80 euros. Children under six swim free.
"""
BUDGET = """# Budget

The council approved 1,250,000 euros for the bridge over the river.
"""


@pytest.fixture
def decoder() -> FakeDecoder:
    return FakeDecoder(ANSWER)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "data", max_document_bytes=50_000)


@pytest.fixture
async def container(
    settings: Settings, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    use_fakes(monkeypatch, decoder)
    async with open_container(settings, lambda _: None) as opened:
        yield opened


@pytest.fixture
async def client(container: Container, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    static = tmp_path / "static"
    transport = httpx2.ASGITransport(create_app(container, static), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


@pytest.fixture
async def town(client: httpx2.AsyncClient, container: Container) -> int:
    """A collection with two documents that are ready; its id."""
    reply = await client.post("/api/v1/collections", json={"name": "town"})
    collection_id: int = reply.json()["id"]
    for name, text, source in [("pool.md", POOL, "council"), ("budget.md", BUDGET, "gazette")]:
        reply = await client.post(
            f"/api/v1/collections/{collection_id}/documents",
            files={"file": (name, text.encode())},
            data={"source": source},
        )
        assert reply.status_code == 202, reply.text
    await container.worker.wait_idle()
    return collection_id
