"""Every vector index and both word indexes, each over a real database where it needs one."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from app.db.pgvector import PgVectorIndexes
from app.db.session import Database
from retrieval.dense_indexes import DenseIndexes
from tests.fakes.store import Store, make_store

DIMENSION = 16
KINDS = ("flat", "sq8", "hnsw", "ivf", "auto", "pgvector", "pgvector-graph")

VectorIndexes = DenseIndexes | PgVectorIndexes
Open = Callable[[], VectorIndexes]


@pytest.fixture(params=KINDS)
def open_indexes(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the same index again and again, as processes that follow each other do."""
    opened: list[VectorIndexes] = []
    kind = request.param
    url = request.getfixturevalue("postgres_url") if kind.startswith("pgvector") else ""

    def open_one() -> VectorIndexes:
        if url:
            graph_above = 100 if kind == "pgvector-graph" else 10**9
            opened.append(PgVectorIndexes(url, DIMENSION, graph_above))
        else:
            opened.append(DenseIndexes(DIMENSION, kind))
        return opened[-1]

    yield open_one
    for indexes in opened:
        indexes.close()


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
