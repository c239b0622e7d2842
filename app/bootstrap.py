"""The composition root: settings in, every concrete object out. The only place that constructs,
with bootstrap_ingest.py for the write path.

Models are imported when they are loaded, so commands that only look at tables start at once.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from app.db.cache_targets import CacheTargets
from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.datadir import DataDir, DataDirLock
from app.db.documents import Documents
from app.db.duplicates import Duplicates
from app.db.estimates import Estimates
from app.db.idempotency import IdempotencyKeys
from app.db.ingest_work import IngestWork
from app.db.job_leases import JobLeases
from app.db.jobs import Jobs
from app.db.lexical import lexical_search
from app.db.lexical_memory import LexicalMemory, open_words
from app.db.model_records import ModelRecords
from app.db.next_vectors import NextVectors
from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from app.db.removal import Removal
from app.db.runs import Runs
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.db.stamps import EMBEDDER_REFERENCE, Stamps
from app.db.versions import Versions
from app.db.watch import Watch
from app.settings import Settings
from retrieval.protocols import LexicalIndex

if TYPE_CHECKING:
    from app.answer.pipeline import AnswerPipeline
    from app.answer.protocols import Assessor, Judge, Retriever
    from app.cache.keeper import CacheKeeper
    from app.db.pgvector import PgVectorIndexes
    from app.decoder.service import DecoderService
    from app.ingest.fetch import Fetcher
    from app.ingest.pipeline import IngestPipeline
    from app.ingest.protocols import Parse, Split
    from app.ingest.remove import Deletions, Remover
    from app.ingest.vector_space import CurrentSpace, VectorSpace
    from app.ingest.worker import JobWorker
    from app.sources.tools import EstimationTools, SourceTools
    from retrieval.dense_indexes import DenseIndexes
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
    duplicates: Duplicates
    next_vectors: NextVectors
    cache_targets: CacheTargets
    source_changes: SourceChanges
    observations: Observations
    versions: ReliabilityVersions
    estimates: Estimates
    watch: Watch


@dataclass(frozen=True, slots=True)
class Models:
    """What takes seconds to load. `previous` made the vectors that are stored, where it was
    another embedder; searches use it until the new one has embedded everything."""

    decoder: "DecoderService"
    embedder: "Embedder"
    previous: "Embedder | None" = None


@dataclass(frozen=True, slots=True)
class Search:
    """Documents to chunks, questions to evidence; `gate` keeps batches and deletes apart."""

    parse: "Parse"
    split: "Split"
    space: "CurrentSpace"
    retriever: "Retriever"
    switch: "Callable[[VectorSpace], None]"
    assessor: "Assessor"
    judge: "Judge | None"
    gate: asyncio.Lock


@dataclass(frozen=True, slots=True)
class Container:
    """What the HTTP routes work with."""

    settings: Settings
    database: Database
    collections: Collections
    sources: Sources
    documents: Documents
    duplicates: Duplicates
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
            duplicates=Duplicates(database),
            next_vectors=NextVectors(database),
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
    from app.ingest.searching import previous_embedder
    from retrieval.embedding import load_embedder

    entries = EntryRows(settings.resolved_database_url)
    try:
        decoder = await load_decoder(
            settings, entries, storage.model_records, data_dir.secret(), progress, storage.watch
        )
        try:
            progress("loading the embedder")
            embedder = load_embedder(settings.embedder)
            previous = await previous_embedder(storage.stamps, embedder.identity)
            yield Models(decoder, embedder, previous)
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
        from app import bootstrap_ingest
        from app.ingest.startup import prepare

        storage = await stack.enter_async_context(open_storage(settings))
        await stack.enter_async_context(storage.database.claim())
        storage = await _with_words(stack, storage, settings)
        opened = (load or open_models)(settings, storage, data_dir, progress)
        models = await stack.enter_async_context(opened)
        parsers = stack.enter_context(closing(bootstrap_ingest.build_parsers(settings)))
        indexes = bootstrap_ingest.open_indexes(settings, models.previous or models.embedder)
        stack.callback(indexes.close)
        search = _build_search(settings, storage, models, parsers.parse, indexes)
        tools = build_source_tools(storage)
        remover = bootstrap_ingest.build_remover(storage, models, search, tools)
        progress("loading the search indexes")
        await prepare(bootstrap_ingest.startup_parts(storage, models, search, remover))
        await tools.beliefs.start()
        stack.push_async_callback(tools.meanings.stop)
        tools.meanings.start([collection.id for collection in await storage.collections.list()])
        if models.previous is None:
            await asyncio.to_thread(bootstrap_ingest.drop_unused, indexes)
            await storage.stamps.set(EMBEDDER_REFERENCE, settings.embedder)
        else:
            reembedder = bootstrap_ingest.build_reembedder(
                settings, storage, models, search, stack.callback
            )
            reembedder.start()
            stack.push_async_callback(reembedder.stop)
        container = _build_container(settings, storage, models, search, remover, tools)
        for keeper in (
            bootstrap_ingest.build_admitter(settings, storage, models, search),
            bootstrap_ingest.build_learner(settings, storage, models, search),
        ):
            if keeper is not None:
                keeper.start()
                stack.push_async_callback(keeper.stop)
        container.worker.start()
        stack.push_async_callback(container.worker.stop)
        await container.estimation.worker.start()
        stack.push_async_callback(container.estimation.worker.stop)
        yield container


async def _with_words(stack: AsyncExitStack, storage: Storage, settings: Settings) -> Storage:
    """With the search by words that a server uses, and filters that know what it knows."""
    in_memory = settings.word_index == "memory"
    words = await stack.enter_async_context(open_words(storage.database, in_memory=in_memory))
    memory = words if isinstance(words, LexicalMemory) else None
    return replace(storage, words=words, selection=ChunkSelection(storage.database, memory))


def _build_search(
    settings: Settings,
    storage: Storage,
    models: Models,
    parse: "Parse",
    indexes: "DenseIndexes | PgVectorIndexes",
) -> Search:
    from app.decoder.alignment import load_judge
    from app.ingest.searching import load_reranker, ranking_config
    from app.ingest.vector_space import CurrentSearcher, CurrentSpace, VectorSpace
    from app.sources.quarantine import ActiveSourcesOnly
    from reliability.assessor import Assessor
    from retrieval.chunking import chunk
    from retrieval.retriever import Retriever

    def search_in(embedder: "Embedder", indexes: "DenseIndexes | PgVectorIndexes") -> Retriever:
        config = ranking_config(settings, embedder.identity)
        return Retriever(
            *(storage.words, indexes, embedder, storage.sources),
            *(config, reranker, storage.selection),
        )

    def switch(new: VectorSpace) -> None:
        searcher.switch(search_in(new.embedder, cast("DenseIndexes", new.indexes)))
        space.switch(new)

    reranker = load_reranker(settings, storage.chunks, models.decoder)
    embedder = models.previous or models.embedder
    space = CurrentSpace(VectorSpace(embedder, indexes))
    searcher = CurrentSearcher(search_in(embedder, indexes))
    return Search(
        parse=parse,
        split=partial(chunk, tokenizer=models.decoder),
        space=space,
        retriever=ActiveSourcesOnly(searcher, storage.sources),
        switch=switch,
        assessor=Assessor(),
        judge=load_judge(models.decoder, settings),
        gate=asyncio.Lock(),
    )


def _build_container(
    settings: Settings,
    storage: Storage,
    models: Models,
    search: Search,
    remover: "Remover",
    tools: "SourceTools",
) -> Container:
    from app.bootstrap_ingest import build_cache, build_ingest, build_lanes
    from app.ingest.fetch import Fetcher
    from app.ingest.remove import Deletions
    from app.ingest.worker import JobWorker
    from app.sources.reader import DecoderReader
    from app.sources.tools import make_estimation

    fetcher = Fetcher(settings.allowed_fetch_hosts, settings.max_document_bytes)
    reader = DecoderReader(search.retriever, storage.chunks, models.decoder, search.judge)
    ingest = build_ingest(settings, storage, models, search)
    lanes = build_lanes(settings, storage, models, search, ingest, fetcher, remover)
    worker = JobWorker(storage.leases, lanes)
    return Container(
        settings=settings,
        database=storage.database,
        collections=storage.collections,
        sources=storage.sources,
        documents=storage.documents,
        duplicates=storage.duplicates,
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
        cache=build_cache(settings, storage, models),
        source_tools=tools,
        estimation=make_estimation(storage, tools, reader),
        watch=storage.watch,
    )


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
        meanings=tools.meanings,
        topics=tools.topics,
        num_passages=settings.passages,
        trust=settings.trust,
        trust_bias=settings.trust_bias,
        judge=search.judge,
    )
