"""What PostgreSQL needs that SQLite does not: its URL for two drivers, and what its errors mean.

asyncpg serves the event loop, pg8000 the threads of the KV store.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import DBAPIError

from app.errors import DatabaseUnreachable, InvalidSettings, StorageFull

# Keys of advisory locks, which are one namespace for the whole database: "LARD" and a number.
MIGRATION_LOCK = 0x4C415244_0001
SERVER_LOCK = 0x4C415244_0002

ANSWER_S = 30.0  # a server that says nothing for so long is gone

# serialization_failure, deadlock_detected, and unique_violation, which two transactions that both
# looked first may get as well: nothing was written, the same again may succeed.
_CONFLICTS = frozenset({"40001", "40P01", "23505"})
_DISK_FULL = "53100"

_SSL_MODES = ("disable", "require", "verify-full")
_QUERY_KEYS = frozenset({"host", "sslmode"})


def async_url(url: str) -> URL:
    return _checked(url).set(drivername="postgresql+asyncpg", query=_host_of(_checked(url)))


def async_arguments(url: str) -> dict[str, Any]:
    """For asyncpg's connect."""
    return {"ssl": _ssl_context(_checked(url)) or False, "timeout": 30}


def sync_url(url: str) -> URL:
    return _checked(url).set(drivername="postgresql+pg8000", query={})


def sync_arguments(url: str, timeout_s: float | None = ANSWER_S) -> dict[str, Any]:
    """For pg8000's connect. `timeout_s` holds for each answer of the server; None: it may take any
    time."""
    parsed = _checked(url)
    arguments: dict[str, Any] = {"ssl_context": _ssl_context(parsed), "timeout": timeout_s}
    if folder := _host_of(parsed).get("host"):
        arguments["unix_sock"] = f"{folder}/.s.PGSQL.{parsed.port or 5432}"
    return arguments


def sqlstate(error: DBAPIError) -> str | None:
    """The five characters both drivers give, each in its own place."""
    code = getattr(error.orig, "sqlstate", None)
    if code is None and error.orig is not None and error.orig.args:
        details = error.orig.args[0]
        code = details.get("C") if isinstance(details, Mapping) else None
    return code if isinstance(code, str) else None


def is_conflict(error: DBAPIError) -> bool:
    return sqlstate(error) in _CONFLICTS


def is_full(error: DBAPIError) -> bool:
    return sqlstate(error) == _DISK_FULL


@contextmanager
def connection_errors(url: str) -> Iterator[None]:
    """At the start: what keeps a server from being reached, in one line without a password."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise DatabaseUnreachable(
            f'{error.name} is not installed; PostgreSQL needs `pip install "larder[postgres]"`'
        ) from error
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and is_full(error):
            raise StorageFull("the PostgreSQL server has no disk space left") from error
        parsed = make_url(url)
        where = f"{parsed.host or 'a local socket'}:{parsed.port or 5432}/{parsed.database or ''}"
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        reason = reason.partition(">: ")[2] or reason
        raise DatabaseUnreachable(
            f"the PostgreSQL database at {where} cannot be used: {reason}; check database_url "
            "(LARDER_DATABASE_URL)"
        ) from error


def _checked(url: str) -> URL:
    parsed = make_url(url)
    if unknown := sorted(set(parsed.query) - _QUERY_KEYS):
        raise InvalidSettings(
            f"database_url has the parameter {unknown[0]!r}; there are {', '.join(_QUERY_KEYS)}"
        )
    return parsed


def _host_of(url: URL) -> dict[str, str]:
    """The folder of a Unix socket, where `?host=` names one."""
    host = url.query.get("host")
    return {"host": host} if isinstance(host, str) else {}


def _ssl_context(url: URL) -> ssl.SSLContext | None:
    mode = url.query.get("sslmode", "disable")
    if mode not in _SSL_MODES:
        raise InvalidSettings(f"sslmode is {mode!r}; there are {', '.join(_SSL_MODES)}")
    if mode == "disable":
        return None
    context = ssl.create_default_context()
    if mode == "require":  # as libpq: encrypted, the other side is not checked
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
