"""What SQLite needs on every connection, async or not, and what its errors mean to a user."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from app.db import postgres
from app.errors import DataDirDamaged, StorageBusy, StorageFull
from retrieval.segmentation import index_words

WRITES = "larder_writes"  # engine option: begin with the write lock instead of asking for it later

BUSY_MS = 10_000  # what another program's lock is waited for

_DAMAGE = (  # as SQLite says it
    "file is not a database",
    "database disk image is malformed",
)

Synchronous = Literal["FULL", "NORMAL"]


def prepare(engine: Engine, synchronous: Synchronous) -> None:
    """Make `engine` set our pragmas when it connects and begin transactions itself.

    The driver's own BEGIN is switched off: it would not cover DDL, and a transaction that starts
    as a reader cannot become a writer while another one writes.
    """
    pragmas = (
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_MS}",
        "secure_delete = ON",  # deleted text is overwritten, not just unlinked
    )

    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        # What triggers and the view behind the full-text index call (migration 0009).
        connection.create_function("larder_words", 1, _words, deterministic=True)
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)


def _words(text: str | None) -> str:
    return index_words(text or "")


@contextmanager
def storage_errors() -> Iterator[None]:
    """A full disk becomes `StorageFull`, a lock that another program holds for longer than
    `busy_timeout` becomes `StorageBusy`, a file that is no database `DataDirDamaged`; every other
    error passes unchanged."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError, OSError) as error:
        if "database is locked" in str(error):
            raise StorageBusy(
                "another program holds Larder's database; end it, or try again in a moment"
            ) from error
        if damage := next((what for what in _DAMAGE if what in str(error)), None):
            raise _damaged(damage) from error
        if not _is_full(error):
            raise
        raise StorageFull(
            "no space is left where Larder keeps its data; free some, then try again"
        ) from error


def make_private(path: Path) -> None:
    """Make the file of a new database, readable by its owner alone; SQLite gives those beside it
    the same rights. One that is there stays as it is. Raises `DataDirDamaged` where it cannot be
    opened."""
    with storage_errors():
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except (IsADirectoryError, PermissionError) as error:
            raise _damaged(f"{path}: {error.strerror}") from error


def _damaged(why: str) -> DataDirDamaged:
    return DataDirDamaged(
        f"Larder's database cannot be read ({why}); restore it from a backup, or move the file "
        "away to begin anew"
    )


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, DBAPIError) and postgres.is_full(error):
        return True
    return "database or disk is full" in str(error)
