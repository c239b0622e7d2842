"""A tiny model folder, and the real DecoderService over it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import torch

from app.decoder import gate
from app.decoder.cost import PrefillCost
from app.decoder.load import load_decoder
from app.decoder.service import DecoderService
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.settings import Settings, load_settings
from kvstore.memory_index import MemoryIndex
from tests.support.calibrated import calibrate_for
from tests.support.model_folder import save_tiny_model

SECRET = bytes(32)


class DictRecords:
    """Records of models in memory; counts what the gate saved."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, object]] = {}
        self.saves = 0

    async def get(self, identity: str) -> dict[str, object] | None:
        found = self.kept.get(identity)
        return dict(found) if found is not None else None

    async def save(self, identity: str, record: Mapping[str, object]) -> None:
        self.saves += not identity.startswith("calibration:")
        self.kept[identity] = record


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _computing_never_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model on a busy machine computes sooner than a disk reads, and nothing is reused."""
    monkeypatch.setattr(gate, "measure_prefill_cost", lambda runner: PrefillCost(1000.0, 0.0))


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(model_dir: Path) -> TextTokenizer:
    return TextTokenizer(model_dir)


@pytest.fixture(scope="session")
def template(model_dir: Path, tokenizer: TextTokenizer) -> PromptTemplate:
    return PromptTemplate.load(model_dir, tokenizer)


@pytest.fixture
def records() -> DictRecords:
    return DictRecords()


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return load_settings(
        data_dir=tmp_path / "data", model=str(model_dir), dtype="float32", threads=1, kv_ram_bytes=0
    )


@pytest.fixture
async def service(settings: Settings, records: DictRecords) -> AsyncIterator[DecoderService]:
    await calibrate_for(settings, records, SECRET)
    opened = await load_decoder(settings, MemoryIndex(), records, SECRET)
    yield opened
    await opened.close()
