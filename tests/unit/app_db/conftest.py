"""A real SQLite file per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.session import Database
from tests.fakes.store import Store, make_store


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}"


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    database = await Database.open(database_url)
    yield make_store(database, tmp_path / "larder.db")
    await database.close()
