"""The database: opened once, migrated, many readers beside one writer at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Select, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.db.sqlite import WRITES, prepare, storage_errors
from app.errors import DataDirDamaged

# Rows are read by column label, so the columns' types do not matter to those who pass these on.
Statement = Select[*tuple[Any, ...]]

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Hands out sessions. A repository asks it; nobody else does."""

    def __init__(self, engine: AsyncEngine) -> None:
        # FULL: an upload is acknowledged only once it would survive a power cut.
        prepare(engine.sync_engine, synchronous="FULL")
        self._engine = engine
        self._write_engine = engine.execution_options(**{WRITES: True})
        self._read_sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._write_sessions = async_sessionmaker(self._write_engine, expire_on_commit=False)
        self._writer = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "Database":
        """Connect and bring the tables up to date; safe beside another process doing the same."""
        database = cls(create_async_engine(url))
        try:
            await database._migrate()
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """For reading: one consistent view, never blocked by the writer."""
        with storage_errors():
            async with self._read_sessions() as session:
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """For writing: commits on leaving, rolls back on any exception. Do not nest."""
        async with self._writer:
            with storage_errors():
                async with self._write_sessions.begin() as session:
                    yield session

    async def check(self) -> None:
        """Raise where the database does not answer."""
        async with self.session() as session:
            await session.execute(text("SELECT count(*) FROM collections"))

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the file and empty it, so that deleted text leaves it too.

        Gives way to readers that still need the log: their end and the next call finish the job.
        """
        async with self._writer, self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            await cursor.close()

    async def close(self) -> None:
        await self._engine.dispose()

    async def _migrate(self) -> None:
        with storage_errors():
            async with self._write_engine.begin() as connection:
                await connection.run_sync(_upgrade)


def migration_config(connection: Connection | None = None) -> Config:
    config = Config()
    # Alembic's configuration treats % as the start of a substitution.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    config = migration_config(connection)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        head = ScriptDirectory.from_config(config).get_current_head()
        raise DataDirDamaged(
            f"the database was not written by this version of Larder (its tables go up to {head}); "
            "use the version that wrote it or a newer one"
        ) from error
