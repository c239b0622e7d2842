"""The composition root: settings in, every concrete object out. The only place that constructs.

Models are imported when they are loaded, so commands that only look at tables start at once.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from app.db.cache_targets import CacheTargets
from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.datadir import DataDir, DataDirLock
from app.db.documents import Documents
from app.db.estimates import Estimates
from app.db.idempotency import IdempotencyKeys
from app.db.ingest_work import IngestWork
from app.db.job_leases import JobLeases
from app.db.jobs import Jobs
from app.db.lexical import lexical_search
from app.db.model_records import ModelRecords
from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from app.db.removal import Removal
from app.db.runs import Runs
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.db.stamps import Stamps
from app.db.versions import Versions
from app.db.watch import Watch
from app.errors import InvalidSettings
from app.settings import SQLITE, Settings
from retrieval.protocols import LexicalIndex

if TYPE_CHECKING:
    from app.answer.pipeline import AnswerPipeline
    from app.answer.protocols import Assessor, Retriever
    from app.cache.keeper import CacheKeeper
    from app.db.pgvector import PgVectorIndexes
    from app.decoder.service import DecoderService
    from app.ingest.admit import Admitter
    from app.ingest.fetch import Fetcher
    from app.ingest.pipeline import IngestPipeline
    from app.ingest.protocols import JobHandler, Parse, Split, VectorIndexes
    from app.ingest.remove import Deletions, Remover
    from app.ingest.startup import StartupParts
    from app.ingest.worker import JobWorker
    from app.sources.tools import EstimationTools, SourceTools
    from retrieval.dense_indexes import DenseIndexes
    from retrieval.parsing.pool import ParserPool
    from retrieval.protocols import Embedder

log = logging.getLogger(__name__)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Storage:
    """The database and everything that speaks SQL."""

    database: Database
    collections: Collections
    sources: Sources
    documents: Documents
    chunks: Chunks
    removal: Removal
    jobs: Jobs
    leases: JobLeases
    work: IngestWork
    document_versions: Versions
    keys: IdempotencyKeys
    runs: Runs
    stamps: Stamps
    words: LexicalIndex
    selection: ChunkSelection
    model_records: ModelRecords
    cache_targets: CacheTargets
    source_changes: SourceChanges
    observations: Observations
    versions: ReliabilityVersions
    estimates: Estimates
    watch: Watch


@dataclass(frozen=True, slots=True)
class Models:
    """What takes seconds to load."""

    decoder: "DecoderService"
    embedder: "Embedder"


@dataclass(frozen=True, slots=True)
class Search:
    """Documents to chunks, questions to evidence; `gate` keeps batches and deletes apart."""

    parse: "Parse"
    split: "Split"
    indexes: "VectorIndexes"
    retriever: "Retriever"
    assessor: "Assessor"
    gate: asyncio.Lock


@dataclass(frozen=True, slots=True)
class Container:
    """What the HTTP routes work with."""

    settings: Settings
    database: Database
    collections: Collections
    sources: Sources
    documents: Documents
    chunks: Chunks
    runs: Runs
    decoder: "DecoderService"
    answers: "AnswerPipeline"
    ingest: "IngestPipeline"
    jobs: Jobs
    worker: "JobWorker"
    deletions: "Deletions"
    document_versions: Versions
    keys: IdempotencyKeys
    fetcher: "Fetcher"
    cache: "CacheKeeper"
    source_tools: "SourceTools"
    estimation: "EstimationTools"
    watch: Watch

    async def readiness(self) -> dict[str, str]:
        """`ok`, or what is wrong. Decoder and embedder are loaded before a container exists."""
        try:
            await self.database.check()
        except Exception:
            log.exception("the database does not answer")
            return {"database": "does not answer", "decoder": "ok", "embedder": "ok"}
        return {"database": "ok", "decoder": "ok", "embedder": "ok"}


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Needs no lock: both engines let several processes read and write."""
    data_dir, process = DataDir.create(settings.data_dir), secrets.token_hex(4)
    database = await Database.open(settings.resolved_database_url)
    try:
        yield Storage(
            database=database,
            collections=Collections(database),
            sources=Sources(database),
            documents=Documents(database),
            chunks=Chunks(database),
            removal=Removal(database),
            jobs=Jobs(database),
            leases=JobLeases(database, data_dir.node(), process),
            work=IngestWork(database),
            document_versions=Versions(database),
            keys=IdempotencyKeys(database, data_dir.node(), process),
            runs=Runs(database),
            stamps=Stamps(database),
            words=lexical_search(database),
            selection=ChunkSelection(database),
            model_records=ModelRecords(database),
            cache_targets=CacheTargets(database),
            source_changes=SourceChanges(database),
            observations=Observations(database),
            versions=ReliabilityVersions(database),
            estimates=Estimates(database),
            watch=Watch(database),
        )
    finally:
        await database.close()


@asynccontextmanager
async def open_models(
    settings: Settings, storage: Storage, data_dir: DataDir, progress: Progress
) -> AsyncIterator[Models]:
    from app.db.entries import EntryRows
    from app.decoder.load import load_decoder
    from retrieval.embedding import load_embedder

    entries = EntryRows(settings.resolved_database_url)
    try:
        decoder = await load_decoder(
            settings, entries, storage.model_records, data_dir.secret(), progress, storage.watch
        )
        try:
            progress("loading the embedder")
            yield Models(decoder, load_embedder(settings.embedder))
        finally:
            await decoder.close()
    finally:
        entries.close()


def build_source_tools(storage: Storage) -> "SourceTools":
    """What a curator works with; needs no model and no lock."""
    from app.sources.tools import make_tools

    return make_tools(storage)


ModelLoader = Callable[[Settings, Storage, DataDir, Progress], AbstractAsyncContextManager[Models]]


@asynccontextmanager
async def open_container(
    settings: Settings,
    progress: Progress,
    url: str | None = None,
    load: ModelLoader | None = None,
) -> AsyncIterator[Container]:
    """Everything, running, with the data directory held. Raises `DataDirInUse` at once.

    `url` is what other processes on this directory are told to use instead; `load` replaces
    `open_models`.
    """
    data_dir = DataDir.create(settings.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(DataDirLock(data_dir, url))
        # After the lock: a client of a running server is told at once, without these imports.
        from app.ingest.startup import prepare

        storage = await stack.enter_async_context(open_storage(settings))
        await stack.enter_async_context(storage.database.claim())
        opened = (load or open_models)(settings, storage, data_dir, progress)
        models = await stack.enter_async_context(opened)
        parsers = stack.enter_context(closing(_build_parsers(settings)))
        indexes = _open_indexes(settings, models.embedder.dimension)
        stack.callback(indexes.close)
        search = _build_search(storage, models, parsers.parse, indexes)
        tools = build_source_tools(storage)
        remover = _build_remover(storage, models, search, tools)
        progress("loading the search indexes")
        await prepare(_startup_parts(storage, models, search, remover))
        await tools.beliefs.start()
        cache = _build_cache(settings, storage, models, search)
        stack.push_async_callback(cache.jobs.stop)
        container = _build_container(settings, storage, models, search, remover, cache, tools)
        admitter = _build_admitter(settings, storage, models, search)
        if admitter is not None:
            admitter.start()
            stack.push_async_callback(admitter.stop)
        container.worker.start()
        stack.push_async_callback(container.worker.stop)
        await container.estimation.worker.start()
        stack.push_async_callback(container.estimation.worker.stop)
        yield container


def _build_parsers(settings: Settings) -> "ParserPool":
    from retrieval.config import ParseLimits
    from retrieval.parsing.pool import ParserPool

    return ParserPool(ParseLimits(settings.parse_seconds, settings.parse_memory_bytes))


def _open_indexes(settings: Settings, dimension: int) -> "DenseIndexes | PgVectorIndexes":
    if settings.vector_index != "pgvector":
        from retrieval.dense_indexes import DenseIndexes

        return DenseIndexes(dimension, settings.vector_index)
    from app.db.pgvector import PgVectorIndexes

    if settings.resolved_database_url.startswith(SQLITE):
        raise InvalidSettings(
            "vector_index (LARDER_VECTOR_INDEX) is pgvector, which needs database_url to name a "
            "PostgreSQL database"
        )
    return PgVectorIndexes(settings.resolved_database_url, dimension)


def _build_search(
    storage: Storage,
    models: Models,
    parse: "Parse",
    indexes: "DenseIndexes | PgVectorIndexes",
) -> Search:
    from reliability.assessor import Assessor
    from retrieval.chunking import chunk
    from retrieval.retriever import Retriever

    return Search(
        parse=parse,
        split=partial(chunk, tokenizer=models.decoder),
        indexes=indexes,
        retriever=Retriever(
            storage.words,
            indexes,
            models.embedder,
            storage.sources,
            selection=storage.selection,
        ),
        assessor=Assessor(),
        gate=asyncio.Lock(),
    )


def _build_remover(
    storage: Storage, models: Models, search: Search, tools: "SourceTools"
) -> "Remover":
    from app.ingest.remove import Remover

    return Remover(
        storage.removal,
        storage.jobs,
        search.indexes,
        models.decoder,
        search.gate,
        tools.beliefs,
    )


def _startup_parts(
    storage: Storage, models: Models, search: Search, remover: "Remover"
) -> "StartupParts":
    from app.ingest.startup import StartupParts

    return StartupParts(
        collections=storage.collections,
        chunks=storage.chunks,
        stamps=storage.stamps,
        embedder=models.embedder,
        indexes=search.indexes,
        decoder=models.decoder,
        remover=remover,
        jobs=storage.jobs,
    )


def _build_cache(
    settings: Settings, storage: Storage, models: Models, search: Search
) -> "CacheKeeper":
    from app.cache.jobs import LocalJobs
    from app.cache.keeper import CacheKeeper

    return CacheKeeper(
        targets=storage.cache_targets,
        decoder=models.decoder,
        jobs=LocalJobs(),
        admission=settings.kv_admission,
        gate=search.gate,
    )


def _build_admitter(
    settings: Settings, storage: Storage, models: Models, search: Search
) -> "Admitter | None":
    from app.ingest.admit import Admitter
    from kvstore.admission import UseCounter

    if settings.kv_admission == "never":
        return None
    uses = UseCounter(settings.data_dir / "kv-uses.bin")
    admitter = Admitter(storage.cache_targets, models.decoder, uses, search.gate)
    models.decoder.on_missed = admitter.missed
    return admitter


def _build_container(
    settings: Settings,
    storage: Storage,
    models: Models,
    search: Search,
    remover: "Remover",
    cache: "CacheKeeper",
    tools: "SourceTools",
) -> Container:
    from app.ingest.fetch import Fetcher
    from app.ingest.remove import Deletions
    from app.ingest.worker import JobWorker

    fetcher = Fetcher(settings.allowed_fetch_hosts, settings.max_document_bytes)
    from app.sources.reader import DecoderReader
    from app.sources.tools import make_estimation

    reader = DecoderReader(search.retriever, storage.chunks, models.decoder)
    ingest = _build_ingest(settings, storage, models, search)
    worker = JobWorker(storage.leases, _build_lanes(settings, storage, ingest, fetcher, remover))
    return Container(
        settings=settings,
        database=storage.database,
        collections=storage.collections,
        sources=storage.sources,
        documents=storage.documents,
        chunks=storage.chunks,
        runs=storage.runs,
        decoder=models.decoder,
        answers=_build_answers(settings, storage, models, search, tools),
        ingest=ingest,
        jobs=storage.jobs,
        worker=worker,
        deletions=Deletions(storage.removal, storage.jobs, worker),
        document_versions=storage.document_versions,
        keys=storage.keys,
        fetcher=fetcher,
        cache=cache,
        source_tools=tools,
        estimation=make_estimation(storage, tools, reader),
        watch=storage.watch,
    )


def _build_lanes(
    settings: Settings,
    storage: Storage,
    ingest: "IngestPipeline",
    fetcher: "Fetcher",
    remover: "Remover",
) -> "list[list[JobHandler]]":
    """Handlers by lane: those of one lane take turns, lanes run side by side."""
    from app.ingest.fetch_job import FetchHandler
    from app.ingest.ingest_job import IngestHandler
    from app.ingest.types import IngestConfig

    config = IngestConfig(settings.max_document_bytes)
    return [
        [IngestHandler(ingest, storage.work, storage.documents, config)],
        [FetchHandler(fetcher, ingest, storage.jobs)],
        [remover],
    ]


def _build_ingest(
    settings: Settings, storage: Storage, models: Models, search: Search
) -> "IngestPipeline":
    from app.ingest.pipeline import IngestParts, IngestPipeline
    from app.ingest.types import IngestConfig

    parts = IngestParts(
        sources=storage.sources,
        documents=storage.documents,
        chunks=storage.chunks,
        parse=search.parse,
        split=search.split,
        embedder=models.embedder,
        indexes=search.indexes,
        decoder=models.decoder,
        gate=search.gate,
        work=storage.work,
        versions=storage.document_versions,
    )
    stores_kv = settings.kv_admission == "ingest"
    return IngestPipeline(parts, IngestConfig(settings.max_document_bytes, stores_kv=stores_kv))


def _build_answers(
    settings: Settings, storage: Storage, models: Models, search: Search, tools: "SourceTools"
) -> "AnswerPipeline":
    from app.answer.pipeline import AnswerPipeline

    return AnswerPipeline(
        collections=storage.collections,
        chunks=storage.chunks,
        runs=storage.runs,
        retriever=search.retriever,
        assessor=search.assessor,
        decoder=models.decoder,
        beliefs=tools.beliefs,
        num_passages=settings.passages,
        trust=settings.trust,
        trust_bias=settings.trust_bias,
    )
