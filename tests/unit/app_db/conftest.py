"""A real database per test, one of each engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.session import Database
from tests.fakes.store import Store, make_store


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
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
