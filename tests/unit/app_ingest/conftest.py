"""A pipeline over a real database, with fakes for the models."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.db.rows import DocumentRow
from app.db.session import Database
from app.ingest.ingest_job import IngestHandler
from app.ingest.pipeline import IngestParts, IngestPipeline
from app.ingest.protocols import JobHandler
from app.ingest.remove import Deletions, Remover
from app.ingest.startup import StartupParts
from app.ingest.types import IngestConfig
from app.ingest.worker import JobWorker, OnStep, WorkerConfig
from tests.fakes.ingest_parts import (
    DictIndexes,
    HashEmbedder,
    PassageStore,
    parse_text,
    split_lines,
)
from tests.fakes.store import Store, make_store


@dataclass(frozen=True, slots=True)
class Kitchen:
    """Everything the write path touches."""

    store: Store
    embedder: HashEmbedder
    indexes: DictIndexes
    decoder: PassageStore
    parts: IngestParts
    config: IngestConfig

    @property
    def pipeline(self) -> IngestPipeline:
        """A new one each time, as after a restart."""
        return IngestPipeline(self.parts, self.config)

    @property
    def remover(self) -> Remover:
        store = self.store
        return Remover(store.removal, store.jobs, self.indexes, self.decoder, self.parts.gate)

    def worker(
        self,
        config: WorkerConfig | None = None,
        on_step: OnStep | None = None,
        remover: Remover | None = None,
    ) -> JobWorker:
        return JobWorker(self.store.leases, self.lanes(remover), config, on_step)

    def lanes(self, remover: Remover | None = None) -> list[list[JobHandler]]:
        store = self.store
        ingest = IngestHandler(self.pipeline, store.work, store.documents, self.config)
        return [[ingest], [remover or self.remover]]

    def deletions(self, remover: Remover | None = None) -> Deletions:
        """Without a worker that runs: a deletion is carried out by who asks for it."""
        return Deletions(self.store.removal, self.store.jobs, self.worker(remover=remover))

    @property
    def startup(self) -> StartupParts:
        return StartupParts(
            self.store.collections,
            self.store.chunks,
            self.store.stamps,
            self.embedder,
            self.indexes,
            self.decoder,
            self.remover,
            self.store.jobs,
        )

    def changed(self, **parts: object) -> "Kitchen":
        return replace(self, parts=replace(self.parts, **parts))

    def with_models(self, embedder: HashEmbedder | None = None) -> "Kitchen":
        """Empty indexes and, if given, another embedder, as after a restart."""
        embedder, indexes = embedder or self.embedder, DictIndexes()
        parts = replace(self.parts, embedder=embedder, indexes=indexes)
        return replace(self, embedder=embedder, indexes=indexes, parts=parts)

    async def accept(self, body: bytes, name: str = "a.txt", source: str = "s") -> DocumentRow:
        collections = await self.store.collections.list()
        collection = collections[0] if collections else await self.store.collections.create("c")
        row, _ = await self.pipeline.accept(collection.id, source, name, body, None)
        return row


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}")
    yield make_store(database, tmp_path / "larder.db")
    await database.close()


@pytest.fixture
def kitchen(store: Store) -> Kitchen:
    embedder, indexes, decoder = HashEmbedder(), DictIndexes(), PassageStore()
    parts = IngestParts(
        store.sources,
        store.documents,
        store.chunks,
        parse_text,
        split_lines,
        embedder,
        indexes,
        decoder,
        asyncio.Lock(),
        store.work,
        store.document_versions,
    )
    config = IngestConfig(1000, embed_batch=2, precompute_batch=2)
    return Kitchen(store, embedder, indexes, decoder, parts, config)
