"""The application on PostgreSQL, from upload to delete, as on SQLite."""

from pathlib import Path

import httpx2
import pytest

from app.bootstrap import Container, open_container
from app.db.entries import EntryRows
from app.errors import DataDirInUse
from app.settings import Settings
from tests.fakes.app import make_settings
from tests.integration.api.test_runs import QUESTION, only, read_events

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str) -> Settings:
    return make_settings(tmp_path / "data", database_url=postgres_url)


async def test_documents_are_found_cited_filtered_and_deleted(
    client: httpx2.AsyncClient, container: Container, town: int
) -> None:
    assert not container.database.is_sqlite
    bridge = "What did the council approve for the bridge near the pool?"
    for question, wanted, sources in (
        (QUESTION, {}, "council"),
        (bridge, {"sources": ["council"]}, "council"),
        (bridge, {"sources": ["gazette"]}, "gazette"),
    ):
        asked = {"question": question, "collection": "town", "filter": wanted}
        reply = await client.post("/api/v1/runs", json=asked)
        passages = only(read_events(reply.text), "retrieval.completed")["passages"]
        assert isinstance(passages, list)
        assert passages[0]["source"] == sources
    ready = (await client.get("/readyz")).json()
    assert ready["checks"]["database"] == "ok"
    (document, *_) = (await client.get(f"/api/v1/collections/{town}/documents")).json()["items"]
    assert (await client.delete(f"/api/v1/documents/{document['id']}")).json()["chunks"] == 1
    assert (await client.get(f"/api/v1/documents/{document['id']}")).status_code == 404


async def test_one_server_a_database(container: Container, tmp_path: Path, settings) -> None:
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    with pytest.raises(DataDirInUse, match="PostgreSQL"):
        async with open_container(other, lambda _: None):
            pass


async def test_the_kv_list_lies_beside_it(container: Container, settings: Settings) -> None:
    entries = EntryRows(settings.resolved_database_url)
    assert entries.rows() == []
    entries.close()
