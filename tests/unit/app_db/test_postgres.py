"""What only PostgreSQL does: conflicts, one server at a time, its URL and its errors."""

import asyncio
import ssl

import numpy as np
import pytest
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.exc import DBAPIError

from app.db import postgres
from app.db.entries import EntryRows
from app.db.lexical_postgres import to_vector
from app.db.models import Source
from app.db.pgvector import PgVectorIndexes
from app.db.session import Database, retried
from app.db.sqlite import storage_errors
from app.errors import DatabaseUnreachable, DataDirInUse, InvalidSettings, StorageFull
from tests.fakes.store import make_store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(postgres_url: str, tmp_path):
    database = await Database.open(postgres_url)
    yield make_store(database, tmp_path)
    await database.close()


class Swap:
    """Each call sets one source to what the other one is: together they need to be serial."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._both_have_read = asyncio.Barrier(2)
        self.tries = 0

    @retried
    async def copy(self, from_name: str, to_name: str) -> None:
        self.tries += 1
        async with self._database.transaction() as session:
            alpha = await session.scalar(select(Source.alpha).where(Source.name == from_name))
            if self.tries <= 2:
                await self._both_have_read.wait()
            statement = update(Source).where(Source.name == to_name).values(alpha=alpha)
            await session.execute(statement)


async def test_who_got_into_anothers_way_tries_again(store) -> None:
    for name, value in (("a", 0.2), ("b", 0.8)):
        row = await store.sources.get_or_create(name)
        await store.sources.set_reliability(row.id, value)
    swap = Swap(store.database)
    await asyncio.gather(swap.copy("a", "b"), swap.copy("b", "a"))
    assert swap.tries == 3
    assert len({row.alpha for row in await store.sources.list()}) == 1  # never exchanged


async def test_many_writers_at_once(store) -> None:
    document = await store.add("a", ["one"])

    async def send(number: int) -> int:
        row, _ = await store.documents.add(
            document.collection_id, document.source_id, f"n{number}", b"the same bytes", None
        )
        return row.id

    assert len(set(await asyncio.gather(*(send(number) for number in range(6))))) == 1


async def test_other_errors_are_not_tried_again(store) -> None:
    calls = []

    @retried
    async def fail() -> None:
        calls.append(1)
        async with store.database.transaction() as session:
            await session.execute(text("SELECT 1/0"))

    with pytest.raises(DBAPIError, match="division"):
        await fail()
    assert len(calls) == 1


async def test_readers_cannot_write(store) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with store.database.session() as session:
            await session.execute(text("DELETE FROM sources"))


async def test_a_second_server_is_refused(store, postgres_url: str) -> None:
    other = await Database.open(postgres_url)
    async with store.database.claim():
        with pytest.raises(DataDirInUse, match="another Larder"):
            async with other.claim():
                pass
        await other.check()  # reading is for everybody
    async with other.claim():
        pass
    await other.close()


async def test_text_that_the_server_does_not_take(store) -> None:
    document = await store.add("a\0b", ["cat\0dog \ud800 end", "word " + "x" * 5000])
    (first, second) = await store.chunks.passages(range(1, 10))
    assert document.name == "a\ufffdb"
    assert first.text == "cat\ufffddog ? end"
    assert [hit for hit, _ in await store.lexical.search("dog", 1, 5)] == [first.chunk_id]
    assert [hit for hit, _ in await store.lexical.search("x" * 5000, 1, 5)] == [second.chunk_id]


async def test_rare_words_count_more_and_common_ones_are_left_out(store) -> None:
    await store.add("t", [f"river water number{n}" for n in range(8)] + ["bridge water", "quay"])
    hits = await store.lexical.search("water bridge", 1, 10)
    assert len(hits) == 1  # water is in nine of ten and would decide nothing
    assert len(await store.lexical.search("water", 1, 10)) == 9
    first = (await store.lexical.search("bridge river quay", 1, 10))[0][0]
    assert (await store.chunks.get(first)).text in {"bridge water", "quay"}


async def test_deleted_words_are_gone(store) -> None:
    document = await store.add("a", ["cat"])
    await store.removal.delete(document.id)
    assert await store.lexical.search("cat", 1, 5) == []
    async with store.database.session() as session:
        assert await session.scalar(text("SELECT count(*) FROM chunk_words")) == 0


def test_a_vector_as_the_server_reads_it() -> None:
    assert to_vector("Cat", "dog CAT 都") == "'cat':1C,3 'dog':2 '都':4"
    assert to_vector("", "?!") == ""
    assert to_vector("", "a " * 400).count(",") == 254


async def test_a_server_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/x cannot be used") as error:
        await Database.open("postgresql://u:secret@127.0.0.1:1/x")
    assert "secret" not in str(error.value)


async def test_an_unknown_database_is_said_so(postgres: str) -> None:
    with pytest.raises(DatabaseUnreachable, match='"nothing" does not exist'):
        await Database.open(f"{postgres}nothing")


def test_urls_for_both_drivers() -> None:
    url = "postgresql+asyncpg://u:p@h:1/x?sslmode=require"
    assert str(postgres.async_url(url)) == "postgresql+asyncpg://u:***@h:1/x"
    assert str(postgres.sync_url(url)) == "postgresql+pg8000://u:***@h:1/x"
    context = postgres.sync_arguments(url)["ssl_context"]
    assert context.verify_mode == ssl.CERT_NONE
    assert postgres.async_arguments("postgresql://h/x")["ssl"] is False
    checked = postgres.async_arguments("postgresql://h/x?sslmode=verify-full")["ssl"]
    assert checked.verify_mode == ssl.CERT_REQUIRED
    socket = "postgresql:///x?host=/run/pg"
    assert postgres.sync_arguments(socket)["unix_sock"] == "/run/pg/.s.PGSQL.5432"
    assert postgres.async_url(socket).query == {"host": "/run/pg"}
    for wrong in ("postgresql://h/x?sslmode=maybe", "postgresql://h/x?prepare=1"):
        with pytest.raises(InvalidSettings):
            postgres.async_arguments(wrong)


async def test_both_drivers_say_what_happened(store, postgres_url: str) -> None:
    full = "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53100'; END $$"
    with pytest.raises(StorageFull):
        async with store.database.transaction() as session:
            await session.execute(text(full))
    entries = EntryRows(postgres_url)
    with pytest.raises(StorageFull), storage_errors(), entries._engine.begin() as connection:
        connection.execute(text(full))
    entries.close()


async def test_building_a_graph_may_take_longer_than_an_answer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is silent for long counts as gone, but not while it builds."""
    arguments = postgres.sync_arguments
    monkeypatch.setattr(
        postgres, "sync_arguments", lambda url, timeout_s=0.3: arguments(url, timeout_s)
    )
    indexes = PgVectorIndexes(postgres_url, 4, graph_above=5)
    vectors = np.eye(8, 4, dtype=np.float32)
    engine = create_engine(postgres.sync_url(postgres_url), connect_args=arguments(postgres_url))
    with engine.begin() as held:  # building waits for writers, of which this is one
        held.execute(text(f"LOCK TABLE {indexes._table} IN ROW EXCLUSIVE MODE"))
        adding = asyncio.create_task(asyncio.to_thread(indexes.add, 1, range(8), vectors))
        await asyncio.sleep(0.8)
        assert not adding.done()
    await adding
    assert indexes._is_graphed
    assert indexes.search(1, vectors[2], 1)[0][0] == 2
    indexes.close()
    engine.dispose()
