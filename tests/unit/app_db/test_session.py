"""Opening, migrating, writing side by side, and a full disk."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

from app.db import postgres
from app.db.models import Base, Collection
from app.db.session import Database, migration_config
from app.db.sqlite import prepare, storage_errors
from app.errors import DataDirDamaged, StorageFull
from tests.fakes.store import make_store

pytestmark = pytest.mark.anyio


async def test_opening_twice_keeps_what_is_there(database_url: str, tmp_path: Path) -> None:
    for names in (["a"], ["a", "b"]):
        database = await Database.open(database_url)
        store = make_store(database, tmp_path)
        await store.collections.create(names[-1])
        assert [row.name for row in await store.collections.list()] == names
        await database.check()
        await database.close()


async def test_two_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    databases = await asyncio.gather(*(Database.open(database_url) for _ in range(3)))
    for database in databases:
        await database.check()
        await database.close()


async def test_pragmas_hold_on_every_connection(sqlite_store) -> None:
    store = sqlite_store
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")

    async def read() -> list[object]:
        async with store.database.session() as session:
            found = [await session.scalar(text(f"PRAGMA {name}")) for name in names]
            await asyncio.sleep(0.01)
        return found

    for found in await asyncio.gather(*(read() for _ in range(4))):
        assert found == ["wal", 2, 1, 10000, 1]


def is_word_table(name: str) -> bool:
    return "_fts" in name or name in {"chunk_words", "passage_changes"}


def test_migrations_make_exactly_the_tables_of_the_models(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    if is_sqlite:
        engine = create_engine(make_url(database_url).set(drivername="sqlite"))
        prepare(engine, "NORMAL")
    else:
        engine = create_engine(postgres.sync_url(database_url))
    with engine.begin() as connection:
        command.upgrade(migration_config(connection), "head")
    with engine.begin() as connection:
        command.upgrade(migration_config(connection), "head")
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or not is_word_table(name)},
        )
        assert compare_metadata(context, Base.metadata) == []
        command.downgrade(migration_config(connection), "base")
        left = set(inspect(connection).get_table_names())
    assert left <= {"alembic_version"}
    engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    database = await Database.open(database_url)
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(DataDirDamaged, match="newer one"):
        await Database.open(database_url)


async def test_writers_take_turns_also_across_databases(
    store, database_url: str, tmp_path: Path
) -> None:
    other = await Database.open(database_url)
    second = make_store(other, tmp_path)

    async def write(repositories, prefix: str) -> None:
        for number in range(15):
            await repositories.collections.create(f"{prefix}{number}")
            await repositories.collections.list()

    await asyncio.gather(write(store, "a"), write(store, "b"), write(second, "c"))
    assert len(await store.collections.list()) == 45
    await other.close()


async def test_a_failed_transaction_leaves_nothing(store) -> None:
    async def fail() -> None:
        async with store.database.transaction() as session:
            session.add(Collection(name="x", created_at=0.0))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.collections.list() == []


async def test_a_cancelled_writer_frees_the_lock(store) -> None:
    entered = asyncio.Event()

    async def stuck() -> None:
        async with store.database.transaction() as session:
            session.add(Collection(name="x", created_at=0.0))
            await session.flush()
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stuck())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.collections.create("y")
    assert [row.name for row in await store.collections.list()] == ["y"]


async def test_readers_do_not_wait_for_the_writer(store) -> None:
    await store.collections.create("before")
    async with store.database.transaction() as session:
        session.add(Collection(name="during", created_at=0.0))
        await session.flush()
        assert [row.name for row in await store.collections.list()] == ["before"]


async def test_a_full_disk_is_said_so_and_leaves_the_database_whole(sqlite_store) -> None:
    store = sqlite_store
    document = await store.add("a", ["one"])

    async def set_limit(pages: int) -> None:
        # The limit is a property of a connection: give it to every one in the pool.
        sessions = [store.database.session() for _ in range(5)]
        opened = [await session.__aenter__() for session in sessions]
        for session in opened:
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))
        for session in sessions:
            await session.__aexit__(None, None, None)

    await set_limit(1)  # less than there is: SQLite takes the present size
    with pytest.raises(StorageFull, match="no space"):
        await store.documents.add(
            document.collection_id, document.source_id, "big", b"x" * 5_000_000, None
        )
    assert len((await store.documents.list(document.collection_id, 10))[0]) == 1
    await set_limit(1_000_000)
    _, created = await store.documents.add(
        document.collection_id, document.source_id, "big", b"x" * 5_000_000, None
    )
    assert created


def test_only_a_full_disk_counts_as_one() -> None:
    with pytest.raises(StorageFull), storage_errors():
        raise OSError(28, "No space left on device")
    with pytest.raises(PermissionError), storage_errors():
        raise PermissionError(13, "denied")
    with pytest.raises(sqlite3.OperationalError), storage_errors():
        raise sqlite3.OperationalError("no such table: x")
