"""What SQLite needs on every connection, async or not, and what its errors mean to a user."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from app.db import postgres
from app.errors import StorageBusy, StorageFull
from retrieval.segmentation import index_words

WRITES = "larder_writes"  # engine option: begin with the write lock instead of asking for it later

BUSY_MS = 10_000  # what another program's lock is waited for

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
    `busy_timeout` becomes `StorageBusy`; every other error passes unchanged."""
    try:
        yield
    except (DBAPIError, sqlite3.OperationalError, OSError) as error:
        if "database is locked" in str(error):
            raise StorageBusy(
                "another program holds Larder's database; end it, or try again in a moment"
            ) from error
        if not _is_full(error):
            raise
        raise StorageFull(
            "no space is left where Larder keeps its data; free some, then try again"
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, DBAPIError) and postgres.is_full(error):
        return True
    return "database or disk is full" in str(error)
