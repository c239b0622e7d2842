"""The database: opened once, migrated, handed out as reading sessions and writing transactions."""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import InstrumentedAttribute

from app.db import postgres
from app.db.sqlite import WRITES, make_private, prepare, storage_errors
from app.errors import DataDirDamaged, DataDirInUse

# Rows are read by column label, so the columns' types do not matter to those who pass these on.
Statement = Select[*tuple[Any, ...]]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Waits add up to a second and a quarter on average; writers of one server meet once in a while.
MAX_CONFLICTS = 9

_WITH_TEXT = (
    "documents",
    "document_bodies",
    "chunks",
    "chunk_words",
    "embeddings",
    "runs",
    "job_items",
    "idempotency_keys",
)

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Hands out sessions. A repository asks it; nobody else does.

    SQLite takes one writer at a time; PostgreSQL any number, of which one that got into another's
    way is sent back with a conflict (`retried`).
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer: asyncio.Lock | None = None
        read_engine = engine
        if engine.dialect.name == "sqlite":
            # FULL: an upload is acknowledged only once it would survive a power cut.
            prepare(engine.sync_engine, synchronous="FULL")
            self._write_engine = engine.execution_options(**{WRITES: True})
            self._writer = asyncio.Lock()
        else:
            read_engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._write_engine = engine.execution_options(isolation_level="SERIALIZABLE")
        self._read_sessions = async_sessionmaker(read_engine, expire_on_commit=False)
        self._write_sessions = async_sessionmaker(self._write_engine, expire_on_commit=False)

    @classmethod
    async def open(cls, url: str) -> "Database":
        """Connect and bring the tables up to date; safe beside another process doing the same."""
        if url.startswith("sqlite"):
            engine = create_async_engine(url)
            if engine.url.database not in {None, "", ":memory:"}:
                make_private(Path(str(engine.url.database)))
            return await cls._opened(engine)
        with postgres.connection_errors(url):
            return await cls._opened(
                create_async_engine(
                    postgres.async_url(url),
                    connect_args=postgres.async_arguments(url),
                    pool_pre_ping=True,  # a server that was restarted meanwhile is no error
                )
            )

    @classmethod
    async def _opened(cls, engine: AsyncEngine) -> "Database":
        database = cls(engine)
        try:
            await database._migrate()
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def is_sqlite(self) -> bool:
        return self._writer is not None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """For reading: one consistent view, never blocked by the writer."""
        with storage_errors():
            async with self._read_sessions() as session:
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """For writing: commits on leaving, rolls back on any exception. Do not nest."""
        async with self._writer or nullcontext():
            with storage_errors():
                async with self._write_sessions.begin() as session:
                    yield session

    def among(self, column: InstrumentedAttribute[int], ids: Sequence[int]) -> ColumnElement[bool]:
        """Whether it is one of these; on PostgreSQL by one array. A list makes a statement of its
        own for each length there, planned anew, and over small tables that were never analysed
        planned badly: 80 chunks with their sources took 7.2 ms, by an array 1.4.
        """
        if self.is_sqlite:
            return column.in_(ids)
        return column == func.any(bindparam("among", list(ids), ARRAY(BigInteger), unique=True))

    @asynccontextmanager
    async def claim(self) -> AsyncIterator[None]:
        """Be the only server on this database; `DataDirInUse` where there is one.

        SQLite lies in the data directory, whose lock says the same.
        """
        if self.is_sqlite:
            yield
            return
        async with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as held:
            key = {"key": postgres.SERVER_LOCK}
            if not await held.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
                raise DataDirInUse(
                    "another Larder works on this PostgreSQL database; stop it, or give each its "
                    "own with LARDER_DATABASE_URL"
                )
            try:
                yield
            finally:
                await held.execute(text("SELECT pg_advisory_unlock(:key)"), key)

    async def check(self) -> None:
        """Raise where the database does not answer."""
        async with self.session() as session:
            await session.execute(text("SELECT count(*) FROM collections"))

    async def checkpoint(self) -> None:
        """Take deleted text out of what the engine keeps beside the rows.

        SQLite: move the write-ahead log into the file and empty it; gives way to readers that
        still need the log, whose end and the next call finish the job. PostgreSQL: empty the dead
        rows; its own log keeps them until it is recycled.
        """
        if self._writer is None:
            async with self._engine.execution_options(
                isolation_level="AUTOCOMMIT"
            ).connect() as bare:
                await bare.execute(text(f"VACUUM {', '.join(_WITH_TEXT)}"))
            return
        async with self._writer, self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            await cursor.close()

    async def close(self) -> None:
        await self._engine.dispose()

    async def _migrate(self) -> None:
        with storage_errors():
            # Not SERIALIZABLE: who waited for another's migration must see what it did.
            engine = self._write_engine if self.is_sqlite else self._engine
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)


def migration_config(connection: Connection | None = None) -> Config:
    config = Config()
    # Alembic's configuration treats % as the start of a substitution.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def retried(
    method: Callable[Arguments, Coroutine[Any, Any, Result]],
) -> Callable[Arguments, Coroutine[Any, Any, Result]]:
    """For methods that write: the whole of it again where PostgreSQL reports a conflict."""

    @functools.wraps(method)
    async def repeat(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        for attempt in range(MAX_CONFLICTS):
            try:
                return await method(*args, **options)
            except DBAPIError as error:
                if not postgres.is_conflict(error):
                    raise
            # Each waits another time, so that the two that met do not meet again.
            await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))
        return await method(*args, **options)

    return repeat


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite began with the write lock
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": postgres.MIGRATION_LOCK}
        )
    config = migration_config(connection)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        head = ScriptDirectory.from_config(config).get_current_head()
        raise DataDirDamaged(
            f"the database was not written by this version of Larder (its tables go up to {head}); "
            "use the version that wrote it or a newer one"
        ) from error
