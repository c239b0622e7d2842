"""A process that ingests and may be killed at any moment: real database, pipeline and worker, and
on PostgreSQL real vectors in it (pgvector).

Its KV store is a folder with one empty file a passage; `acknowledged` lists the accepted names and
`batches` grows by a byte with each batch.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from app.db.job_leases import JobLeases
from app.db.pgvector import PgVectorIndexes
from app.db.session import Database
from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from app.errors import CollectionNotFound, DocumentNotFound
from app.ingest.ingest_job import IngestHandler
from app.ingest.pipeline import IngestParts, IngestPipeline
from app.ingest.remove import Deletions, Remover
from app.ingest.startup import StartupParts, prepare
from app.ingest.types import IngestConfig
from app.ingest.worker import JobWorker, WorkerConfig
from tests.fakes.ingest_parts import (
    DictIndexes,
    HashEmbedder,
    PassageStore,
    parse_text,
    split_lines,
)
from tests.fakes.store import Store, make_store

NUM_DOCUMENTS = 30


def body_of(number: int) -> bytes:
    lines = [f"document {number} line {line} about topic {number % 7}" for line in range(3)]
    return "\n".join(["a line that all documents share", *lines]).encode()


class FolderStore(PassageStore):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def path(self, token_ids: tuple[int, ...]) -> Path:
        return self._folder / hashlib.sha256(repr(token_ids).encode()).hexdigest()

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        passage_ids = [passage.token_ids for passage in passages]
        for ids in passage_ids:
            self.path(ids).touch()
            await asyncio.sleep(0.001)
        return PrecomputeReport(len(passage_ids), 0, 0, sum(map(len, passage_ids)))

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        for ids in token_ids:
            self.path(ids).unlink(missing_ok=True)
        return PurgeReport(len(token_ids), 0)


def run_child(root: str, url: str, delete_id: int | None = None) -> None:
    """Accept everything, ingest until nothing is pending, then create the file `done`."""
    asyncio.run(_run(Path(root), url, delete_id))


async def _run(root: Path, url: str, delete_id: int | None) -> None:
    database = await Database.open(url)
    store = make_store(database, root / "larder.db")
    decoder, embedder = FolderStore(root / "kv"), HashEmbedder()
    indexes = DictIndexes() if database.is_sqlite else PgVectorIndexes(url, embedder.dimension)
    gate = asyncio.Lock()
    parts = IngestParts(
        store.sources,
        store.documents,
        store.chunks,
        parse_text,
        split_lines,
        embedder,
        indexes,
        decoder,
        gate,
        store.work,
        store.document_versions,
    )
    remover = Remover(store.removal, store.jobs, indexes, decoder, gate)
    await prepare(
        StartupParts(
            store.collections,
            store.chunks,
            store.stamps,
            embedder,
            indexes,
            decoder,
            remover,
            store.jobs,
        )
    )
    # A test kills this process far oftener than bytes that crash a parser would.
    config = IngestConfig(
        10_000, embed_batch=2, parse_ahead=2, precompute_batch=2, max_parse_attempts=100
    )
    pipeline = IngestPipeline(parts, config)
    leases = JobLeases(database, "node", str(os.getpid()))
    handler = IngestHandler(pipeline, store.work, store.documents, config)
    (root / "prepared").touch()
    with (root / "batches").open("ab", buffering=0) as batches:
        worker = JobWorker(
            leases,
            [[handler], [remover]],
            WorkerConfig(max_attempts=100),
            lambda _: _count(batches),
        )
        worker.start()
        deletions = Deletions(store.removal, store.jobs, worker)
        await _work(root, store, pipeline, worker, deletions, delete_id)
        await worker.stop()
    await database.close()
    (root / "done").touch()


def _count(batches: FileIO) -> None:
    batches.write(b".")


async def _work(
    root: Path,
    store: Store,
    pipeline: IngestPipeline,
    worker: JobWorker,
    deletions: Deletions,
    delete_id: int | None,
) -> None:
    if delete_id is None:
        await _accept_all(store, pipeline, worker, root / "acknowledged")
    else:
        with contextlib.suppress(DocumentNotFound):  # asked for before this process was killed
            await deletions.delete(delete_id)
    worker.submit()
    await worker.wait_idle()


async def _accept_all(
    store: Store, pipeline: IngestPipeline, worker: JobWorker, acknowledged: Path
) -> None:
    try:
        collection = await store.collections.find("c")
    except CollectionNotFound:
        collection = await store.collections.create("c")
    with acknowledged.open("a", encoding="utf-8") as file:
        for number in range(NUM_DOCUMENTS):
            name = f"{number}.txt"
            await pipeline.accept(collection.id, "s", name, body_of(number), None)
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
            worker.submit()
