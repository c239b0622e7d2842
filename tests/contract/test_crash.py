"""Database and indexes after a process died between the two, and two processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.db.datadir import DataDir, DataDirLock
from app.db.session import Database
from app.errors import DataDirInUse
from app.ingest.reembed import load_vectors
from tests.contract.conftest import KINDS
from tests.fakes.store import make_store
from tests.fakes.vector_child import NUM_CHUNKS, fill, open_indexes, vector_of
from tests.support.packaged_model import ROOT

pytestmark = pytest.mark.anyio

SIGKILL = -9
IN_DATABASE = tuple(kind for kind in KINDS if kind.startswith("pgvector"))
IN_MEMORY = tuple(kind for kind in KINDS if kind not in IN_DATABASE)


def url_of(request: pytest.FixtureRequest, engine: str) -> str:
    of_engine = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    url: str = request.getfixturevalue(of_engine[engine])
    return url


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.vector_child", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


CRASHES = ("die adding", "die removing")


@pytest.mark.parametrize(
    ("engine", "kind", "what"),
    [
        *(("sqlite", kind, CRASHES[at % 2]) for at, kind in enumerate(IN_MEMORY)),
        *(("postgresql", kind, CRASHES[at % 2]) for at, kind in enumerate(IN_MEMORY, 1)),
        *(("postgresql", kind, what) for kind in IN_DATABASE for what in CRASHES),
    ],
)
async def test_both_agree_after_a_crash(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, kind: str, what: str
) -> None:
    database_url = url_of(request, engine)
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


@pytest.mark.parametrize("kind", KINDS)
async def test_reopened_it_holds_what_it_held(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = url_of(request, "postgresql" if kind in IN_DATABASE else "sqlite")
    database = await Database.open(url)
    store = make_store(database, tmp_path)
    found = []
    for name in ("first", "second", ""):
        indexes = open_indexes(url, kind)
        num_loaded = await load_vectors(store.collections, store.chunks, indexes)
        lasts = kind in IN_DATABASE  # the others are filled from the database
        assert num_loaded == (0 if lasts else len(found))
        if name:
            await fill(store, name)
            await load_vectors(store.collections, store.chunks, indexes)
        else:
            gone = await store.removal.delete(1)
            assert indexes.remove(1, gone.chunk_ids) == NUM_CHUNKS
            assert indexes.remove(1, gone.chunk_ids) == 0
        found = indexes.search(1, vector_of(NUM_CHUNKS + 1), 2 * NUM_CHUNKS)
        indexes.close()
    indexes = open_indexes(url, kind)
    await load_vectors(store.collections, store.chunks, indexes)
    assert len(found) == NUM_CHUNKS
    again = indexes.search(1, vector_of(NUM_CHUNKS + 1), 2 * NUM_CHUNKS)
    assert [number for number, _ in again] == [number for number, _ in found]
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
