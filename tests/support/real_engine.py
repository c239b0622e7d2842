"""A reuse engine over real weights and a throw-away store, allowed to reuse chunks."""

from pathlib import Path

from transformers import PreTrainedModel

from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.frame import Frame
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore


def open_engine(
    model: PreTrainedModel, folder: Path, frame: Frame, *, ram_bytes: int = 10**9
) -> ReuseEngine:
    disk = DiskTier(folder, 10**9, MemoryIndex())
    store = KVStore(RamTier(ram_bytes), disk, "namespace", "identity")
    engine = ReuseEngine(ModelRunner(model), store, frame, ReuseConfig(min_reusable_tokens=1))
    engine.refusal = None
    engine.prepare()
    return engine
