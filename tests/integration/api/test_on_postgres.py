"""The application on PostgreSQL, from upload to delete, as on SQLite."""

from pathlib import Path

import httpx2
import pytest

from app.bootstrap import Container, open_container
from app.db.entries import EntryRows
from app.errors import DataDirInUse, InvalidSettings
from app.settings import Settings
from tests.fakes.app import make_settings, use_fakes
from tests.fakes.decoder import FakeDecoder
from tests.integration.api.test_runs import QUESTION, only, read_events

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "pgvector"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Settings:
    values = {"database_url": postgres_url, "vector_index": request.param}
    return make_settings(tmp_path / "data", **values)


@pytest.fixture
def without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fakes(monkeypatch, FakeDecoder(""))


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


@pytest.mark.usefixtures("without_models")
async def test_pgvector_needs_postgresql(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="database_url"):
        async with open_container(
            make_settings(tmp_path / "data", vector_index="pgvector"), lambda _: None
        ):
            pass
