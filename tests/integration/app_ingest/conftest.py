"""Both databases, for tests that kill the process which writes them."""

from pathlib import Path

import pytest

from tests.support.tables import PostgresTables, SqliteTables, Tables


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    if request.param == "sqlite":
        return SqliteTables(tmp_path / "larder.db")
    return PostgresTables(request.getfixturevalue("postgres_url"))
