"""Database and indexes after a process died between the two, and two processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.db.datadir import DataDir, DataDirLock
from app.db.session import Database
from app.errors import DataDirInUse
from app.ingest.reembed import load_vectors
from tests.fakes.store import make_store
from tests.fakes.vector_child import NUM_CHUNKS, open_indexes, vector_of
from tests.support.packaged_model import ROOT

pytestmark = pytest.mark.anyio

SIGKILL = -9


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.vector_child", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("engine", "kind", "what"),
    [
        ("sqlite", "flat", "die removing"),
        ("sqlite", "hnsw", "die adding"),
        ("postgresql", "flat", "die adding"),
        ("postgresql", "pgvector", "die adding"),
        ("postgresql", "pgvector", "die removing"),
    ],
)
async def test_both_agree_after_a_crash(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, kind: str, what: str
) -> None:
    of_engine = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    database_url: str = request.getfixturevalue(of_engine[engine])
    child = start(what, database_url, str(tmp_path), kind)
    with child:
        assert child.wait(300) == SIGKILL
    database = await Database.open(database_url)
    store = make_store(database, tmp_path)
    indexes = open_indexes(database_url, kind)
    await load_vectors(store.collections, store.chunks, indexes)
    wanted = await store.chunks.embedded(1)
    assert len(wanted) == (2 * NUM_CHUNKS if what == "die adding" else 0)
    assert sorted(indexes.ids(1).tolist()) == sorted(wanted)
    for chunk_id in wanted[:: NUM_CHUNKS // 2]:
        assert indexes.search(1, vector_of(chunk_id), 1)[0][0] == chunk_id
    by_words = await store.lexical.search("first second", 1, 500)
    assert {chunk_id for chunk_id, _ in by_words} == set(wanted)
    assert await load_vectors(store.collections, store.chunks, indexes) == 0
    indexes.close()
    await database.close()


async def test_two_writers_are_refused(database_url: str, tmp_path: Path) -> None:
    child = start("hold", database_url, str(tmp_path), "flat")
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(DataDirInUse, match="in use"):
            DataDirLock(DataDir.create(tmp_path)).acquire()
        if not database_url.startswith("sqlite"):  # another folder, the same database
            database = await Database.open(database_url)
            with pytest.raises(DataDirInUse, match="PostgreSQL"):
                async with database.claim():
                    pass
            await database.close()
        child.kill()
    with DataDirLock(DataDir.create(tmp_path)):  # the dead hold nothing
        database = await Database.open(database_url)
        async with database.claim():
            pass
        await database.close()
