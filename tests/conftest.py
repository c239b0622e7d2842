"""Fixtures every test can use, and which tests share a worker."""

import secrets
from collections.abc import Iterator

import hypothesis
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from xdist.scheduler import LoadFileScheduling

from app.db.postgres import sync_url
from app.db.reliability_models import Base
from app.db.session import migration_config
from tests.support.coverage_threads import follow_greenlets_in_loops_only
from tests.support.postgres import CannotRun, postgres_server

follow_greenlets_in_loops_only()
# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile(
    "larder",
    hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("larder")

OUR_TABLES = {*Base.metadata.tables, "chunk_words", "passage_changes", "alembic_version"}
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
VERSION = "SELECT max(version_num) FROM alembic_version"
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


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


@pytest.fixture(scope="session")
def spare_databases() -> list[str]:
    """Names of those that a test has left and that were emptied."""
    return []


@pytest.fixture
def postgres_url(
    postgres: str, postgres_template: str, spare_databases: list[str]
) -> Iterator[str]:
    """URL of a database without rows; emptying one is quicker than copying and deleting one."""
    if spare_databases:
        name = spare_databases.pop()
    else:
        name = f"larder_{secrets.token_hex(6)}"
        _run(f"{postgres}postgres", f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield f"{postgres}{name}"
    if _is_emptied(f"{postgres}{name}"):
        spare_databases.append(name)
    else:
        _run(f"{postgres}postgres", f"DROP DATABASE {name} WITH (FORCE)")


def _is_emptied(url: str) -> bool:
    """False, and nothing done, where a test left other tables than the migrations make."""
    engine = create_engine(sync_url(url))
    with engine.begin() as connection:
        connection.execute(text(END_OTHERS))
        tables = set(connection.scalars(text(TABLES)))
        is_usual = tables == OUR_TABLES and connection.scalar(text(VERSION)) == _head()
        if is_usual:
            names = ", ".join(sorted(tables - {"alembic_version"}))
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    engine.dispose()
    return is_usual


def _head() -> str | None:
    return ScriptDirectory.from_config(migration_config()).get_current_head()


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
