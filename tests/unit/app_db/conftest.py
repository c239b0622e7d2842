"""A real database per test; one of each engine where the SQL or the locking differs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.session import Database
from tests.fakes.store import Store, make_store

BOTH_ENGINES = {
    "test_documents",
    "test_entries",
    "test_estimates",
    "test_idempotency",
    "test_jobs",
    "test_lexical",
    "test_lexical_memory",
    "test_observations",
    "test_removal",
    "test_runs",
    "test_selection",
    "test_session",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" in metafunc.fixturenames:
        engines = ["sqlite"]
        if metafunc.module.__name__.rpartition(".")[2] in BOTH_ENGINES:
            engines.append("postgresql")
        metafunc.parametrize("database_url", engines, indirect=True)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}"


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    of_engine = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    url: str = request.getfixturevalue(of_engine[request.param])
    return url


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    database = await Database.open(database_url)
    yield make_store(database, tmp_path / "larder.db")
    await database.close()


@pytest.fixture
async def sqlite_store(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    database = await Database.open(sqlite_url)
    yield make_store(database, tmp_path / "larder.db")
    await database.close()
