"""Fixtures every test can use, and which tests share a worker."""

import pytest
from xdist.scheduler import LoadFileScheduling


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _Scheduling(LoadFileScheduling):
    """A file stays on one worker; the end-to-end tests, which share a server, all do."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling:
    return _Scheduling(config, log)
