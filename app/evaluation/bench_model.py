"""A decoder and a throw-away store for evaluations and benchmarks; no database, no server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from app.decoder.load import choose_dtype, end_ids_of, read_model, resolve_model
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.settings import Settings
from kvstore.codecs import find_codec
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.links import LinkTokens
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore

# A run over hundreds of questions meets more passages than a temporary folder should hold.
DISK_BYTES = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Bench:
    """One loaded model with a store of its own. `end_ids` end an answer."""

    directory: Path
    runner: ModelRunner
    template: PromptTemplate
    store: KVStore
    end_ids: frozenset[int]
    links: LinkTokens | None = None

    def engine(self, config: ReuseConfig) -> ReuseEngine:
        """An engine over the shared store. Chunk reuse is what is measured, so it is allowed."""
        engine = ReuseEngine(self.runner, self.store, self.template.frame, config)
        engine.refusal = None
        if self.links is not None:
            engine.use_links(self.links)
        return engine


@contextmanager
def open_bench(
    settings: Settings, *, dtype: str, ram_bytes: int, codec: str = "raw"
) -> Iterator[Bench]:
    """`codec` is that of the store's files; what is read from them goes through it."""
    torch.set_num_threads(settings.num_threads)
    disable_progress_bar()
    directory, _ = resolve_model(settings)
    model = read_model(directory, choose_dtype(dtype))
    template = PromptTemplate.load(directory, TextTokenizer(directory))
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        rules = DiskRules(codec=find_codec(codec))
        disk = DiskTier(Path(folder), DISK_BYTES, MemoryIndex(), rules)
        store = KVStore(RamTier(ram_bytes), disk, "bench", "bench")
        ends = end_ids_of(model, directory)
        yield Bench(directory, ModelRunner(model), template, store, ends)
