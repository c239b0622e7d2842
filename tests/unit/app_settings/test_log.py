"""Logging is set up once however often it is asked for."""

import logging
from collections.abc import Iterator

import pytest

from app.log import set_up_logging


@pytest.fixture
def _root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_root")
def test_one_line_an_event_even_when_set_up_twice(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning")
    set_up_logging("info")
    logging.getLogger("larder.test").info("hello %d", 3)
    logging.getLogger("alembic").info("chatter")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO    larder.test: hello 3")
