"""A reuse engine over a throw-away store, for every family."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import Segment
from tests.support.tiny_models import (
    FAMILIES,
    FRAME,
    build_model,
    build_runner,
    draw_ids,
    prompt_of,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small run several times faster without a second thread to wait for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex()


@pytest.fixture
def disk(tmp_path: Path, index: MemoryIndex) -> DiskTier:
    return DiskTier(tmp_path, 10**6, index)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plain_model(family: str) -> PreTrainedModel:
    """The stock model with stock attention: what everything is compared with."""
    return build_model(family)


@pytest.fixture
def runner(family: str) -> ModelRunner:
    return build_runner(family)


@pytest.fixture
def store(tmp_path: Path) -> KVStore:
    disk = DiskTier(tmp_path / "kv", 10**9, MemoryIndex())
    return KVStore(RamTier(10**8), disk, "namespace", "identity")


@pytest.fixture
def engine(runner: ModelRunner, store: KVStore) -> ReuseEngine:
    engine = ReuseEngine(runner, store, FRAME, ReuseConfig(min_reusable_tokens=1))
    engine.refusal = None
    engine.prepare()
    return engine


@pytest.fixture
def chunks() -> list[tuple[int, ...]]:
    return [draw_ids(count, 10 + count) for count in (31, 24, 40, 19)]


@pytest.fixture
def segments(chunks: list[tuple[int, ...]]) -> list[Segment]:
    return prompt_of(chunks)
