"""A fake decoder with a real store behind it: small made-up rows in real tiers."""

from collections.abc import Sequence
from pathlib import Path

import torch

from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.encodings import find_encoding
from kvstore.errors import TierFull
from kvstore.frame import Frame
from kvstore.keys import content_id
from kvstore.protocols import EntryIndex
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedTier
from kvstore.store import KVStore
from kvstore.types import ChunkKV, Encoding, Segment, StoreStats
from kvstore.upkeep import StoreUpkeep
from tests.fakes.decoder import FakeDecoder

FRAME = Frame((1, 2, 3), ((4, 5), (6, 7)))
ENCODINGS: tuple[Encoding, ...] = ("head", "primed")


class StoringDecoder(FakeDecoder):
    """`precompute` stores both encodings of a passage, and `purge` reaches every tier."""

    def __init__(
        self,
        folder: Path,
        index: EntryIndex,
        answer: str = "Yes.",
        *,
        disk_bytes: int = 10**8,
        shared: SharedTier | None = None,
    ) -> None:
        super().__init__(answer)
        self.disk = DiskTier(folder, disk_bytes, index, DiskRules(eviction="gdsf"))
        self.store = KVStore(RamTier(10**8), self.disk, "namespace", "fake", shared)
        self.upkeep = StoreUpkeep(self.store, FRAME)
        self.prepared = 0

    async def precompute(
        self, passages: Sequence[Passage], *, evict: bool = False
    ) -> PrecomputeReport:
        stored = already = num_tokens = 0
        for passage in passages:
            chunk = Segment("chunk", passage.token_ids, passage.primers)
            contexts = [find_encoding(encoding).key_context(FRAME, chunk) for encoding in ENCODINGS]
            if all(self.store.contains(passage.token_ids, context) for context in contexts):
                already += 1
                continue
            try:
                for context in contexts:
                    self._put(passage.token_ids, context, evict)
            except TierFull:
                left = len(passages) - stored - already
                return PrecomputeReport(stored, already, left, num_tokens, "disk_budget")
            stored += 1
            num_tokens += len(passage.token_ids)
        return PrecomputeReport(stored, already, 0, num_tokens)

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        gone = self.store.purge(token_ids)
        return PurgeReport(gone.entries, gone.num_bytes, gone.complete, gone.tiers)

    async def purge_tenant(self) -> PurgeReport:
        gone = self.store.purge_namespace()
        self.prepared += 1
        return PurgeReport(gone.entries, gone.num_bytes, gone.complete, gone.tiers)

    def store_stats(self) -> StoreStats:
        return self.store.stats()

    async def close(self) -> None:
        self.store.close()

    def use(self, token_ids: tuple[int, ...], primers: tuple[tuple[int, ...], ...] = ()) -> str:
        """Look a passage up as a prompt does; the tier it came from, or nothing."""
        chunk = Segment("chunk", token_ids, primers)
        return (
            self.store.lookup(token_ids, find_encoding("head").key_context(FRAME, chunk)).tier or ""
        )

    def _put(self, ids: tuple[int, ...], context: tuple[str, ...], evict: bool) -> None:
        shape = (2, 1, len(ids), 4)
        seed = int(content_id(ids)[:8], 16)
        rows = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        self.store.put(ChunkKV(self.store.key_of(ids, context), ids, rows, -rows), evict=evict)
