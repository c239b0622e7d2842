"""One real server for all tests here (own collections keep them apart), and fresh directories."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.packaged_model import MODELS, data_dir_with_model
from tests.support.processes import Server, serving

NewDataDir = Callable[[Path], Path]


@pytest.fixture(scope="session")
def new_data_dir(tmp_path_factory: pytest.TempPathFactory) -> NewDataDir:
    """Makes a data directory that was started once and holds no document.

    The first start proves and measures the model, which takes longer than most tests here.
    """
    started = data_dir_with_model(tmp_path_factory.mktemp("first") / "data")
    with serving(started):
        pass

    def copy(folder: Path) -> Path:
        shutil.copytree(started, folder, ignore=shutil.ignore_patterns("models"))
        (folder / "models").symlink_to(MODELS)
        return folder

    return copy


@pytest.fixture(scope="session")
def server(new_data_dir: NewDataDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(new_data_dir(tmp_path_factory.mktemp("larder") / "data")) as running:
        yield running
