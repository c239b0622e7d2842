"""One real server for all tests here: own collections keep them apart."""

from collections.abc import Iterator

import pytest

from tests.support.packaged_model import data_dir_with_model
from tests.support.processes import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = data_dir_with_model(tmp_path_factory.mktemp("larder") / "data")
    with serving(data_dir) as running:
        yield running
