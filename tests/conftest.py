"""Fixtures every test can use, and which tests share a worker."""

import secrets
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import create_engine, text
from xdist.scheduler import LoadFileScheduling

from app.db.postgres import sync_url
from app.db.session import migration_config
from tests.support.postgres import CannotRun, postgres_server


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real server for this session; a database name is appended."""
    try:
        with postgres_server() as url:
            yield url
    except CannotRun as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """Name of a database with our tables in it; migrating takes a second, copying a tenth."""
    name = "larder_template"
    _run(f"{postgres}postgres", f"CREATE DATABASE {name}")
    engine = create_engine(sync_url(f"{postgres}{name}"))
    with engine.begin() as connection:
        command.upgrade(migration_config(connection), "head")
    engine.dispose()
    return name


@pytest.fixture
def postgres_url(postgres: str, postgres_template: str) -> str:
    """URL of a new database without rows."""
    name = f"larder_{secrets.token_hex(6)}"
    _run(f"{postgres}postgres", f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    return f"{postgres}{name}"


def _run(url: str, statement: str) -> None:
    engine = create_engine(sync_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


class _Scheduling(LoadFileScheduling):
    """A file stays on one worker; the end-to-end tests, which share a server, all do."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling:
    return _Scheduling(config, log)
