"""One real server for all tests here (own collections keep them apart), and fresh directories."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.packaged_model import MODELS, data_dir_with_model
from tests.support.processes import Server, serving

NewDataDir = Callable[[Path], Path]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """The server, and what its data directory was after the first start, before any document.

    The first start proves and measures the model, which takes longer than most tests here.
    """
    folder = tmp_path_factory.mktemp("larder")
    with serving(data_dir_with_model(folder / "data")) as running:
        snapshot = folder / "snapshot"
        shutil.copytree(
            running.data_dir, snapshot, ignore=shutil.ignore_patterns("models", "*.db*", "owner*")
        )
        with (
            closing(sqlite3.connect(running.data_dir / "larder.db")) as live,
            closing(sqlite3.connect(snapshot / "larder.db")) as copy,
        ):
            live.backup(copy)
        yield running, snapshot


@pytest.fixture(scope="session")
def server(started: tuple[Server, Path]) -> Server:
    return started[0]


@pytest.fixture(scope="session")
def new_data_dir(started: tuple[Server, Path]) -> NewDataDir:
    """Makes a data directory that was started once and holds no document."""

    def copy(folder: Path) -> Path:
        shutil.copytree(started[1], folder)
        (folder / "models").symlink_to(MODELS)
        return folder

    return copy
