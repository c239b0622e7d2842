"""The composition root's part for the write path and the upkeep of stored KV.

Imported when models are: commands that only look at tables start without it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.cache.jobs import CacheHandler
from app.cache.keeper import CacheKeeper
from app.db.pgvector import PgVectorIndexes
from app.errors import InvalidSettings
from app.ingest.admit import Admitter
from app.ingest.fetch import Fetcher
from app.ingest.fetch_job import FetchHandler
from app.ingest.ingest_job import IngestHandler
from app.ingest.learn import Learner
from app.ingest.pipeline import IngestParts, IngestPipeline
from app.ingest.protocols import JobHandler
from app.ingest.reembed import Reembedder, ReembedParts
from app.ingest.remove import Remover
from app.ingest.startup import StartupParts
from app.ingest.types import IngestConfig
from app.settings import PGVECTOR, SQLITE, Settings
from app.sources.tools import SourceTools
from kvstore.admission import UseCounter
from retrieval.config import ParseLimits
from retrieval.dense_indexes import DenseIndexes
from retrieval.parsing.pool import ParserPool
from retrieval.protocols import Embedder

if TYPE_CHECKING:
    from app.bootstrap import Models, Search, Storage


def build_parsers(settings: Settings) -> ParserPool:
    """Processes that read documents, within the limits of the settings."""
    models = str(settings.docling_models.absolute()) if settings.docling_models else None
    limits = ParseLimits(settings.parse_seconds, settings.parse_memory_bytes, docling_models=models)
    return ParserPool(limits)


def open_indexes(settings: Settings, embedder: Embedder) -> DenseIndexes | PgVectorIndexes:
    """Of vectors of this embedder."""
    if settings.vector_index != PGVECTOR:
        return DenseIndexes(embedder.dimension, settings.vector_index)
    if settings.resolved_database_url.startswith(SQLITE):
        raise InvalidSettings(
            "vector_index (LARDER_VECTOR_INDEX) is pgvector, which needs database_url to name a "
            "PostgreSQL database"
        )
    return PgVectorIndexes(
        settings.resolved_database_url, embedder.dimension, embedder=embedder.identity
    )


def drop_unused(indexes: DenseIndexes | PgVectorIndexes) -> None:
    """What embedders of before have left in the database."""
    if isinstance(indexes, PgVectorIndexes):
        indexes.drop_others()


def build_remover(
    storage: "Storage", models: "Models", search: "Search", tools: SourceTools
) -> Remover:
    return Remover(
        storage.removal, storage.jobs, search.space, models.decoder, search.gate, tools.beliefs
    )


def build_reembedder(
    settings: Settings,
    storage: "Storage",
    models: "Models",
    search: "Search",
    at_end: Callable[[Callable[[], None]], object],
) -> Reembedder:
    """`at_end` is told how to close the indexes it makes."""

    def make_indexes(_dimension: int) -> DenseIndexes | PgVectorIndexes:
        opened = open_indexes(settings, models.embedder)
        at_end(opened.close)
        return opened

    parts = ReembedParts(
        collections=storage.collections,
        chunks=storage.chunks,
        vectors=storage.next_vectors,
        embedder=models.embedder,
        reference=settings.embedder,
        make_indexes=make_indexes,
        switch=search.switch,
        gate=search.gate,
    )
    return Reembedder(parts)


def startup_parts(
    storage: "Storage", models: "Models", search: "Search", remover: Remover
) -> StartupParts:
    return StartupParts(
        collections=storage.collections,
        chunks=storage.chunks,
        stamps=storage.stamps,
        embedder=search.space,
        indexes=search.space,
        decoder=models.decoder,
        remover=remover,
        jobs=storage.jobs,
    )


def build_lanes(
    settings: Settings,
    storage: "Storage",
    models: "Models",
    search: "Search",
    ingest: IngestPipeline,
    fetcher: Fetcher,
    remover: Remover,
) -> list[list[JobHandler]]:
    """Handlers by lane: those of one lane take turns, lanes run side by side."""
    config = IngestConfig(settings.max_document_bytes)
    return [
        [IngestHandler(ingest, storage.work, storage.documents, config)],
        [FetchHandler(fetcher, ingest, storage.jobs)],
        [remover],
        [CacheHandler(storage.cache_targets, models.decoder, search.gate)],
    ]


def build_ingest(
    settings: Settings, storage: "Storage", models: "Models", search: "Search"
) -> IngestPipeline:
    parts = IngestParts(
        sources=storage.sources,
        documents=storage.documents,
        chunks=storage.chunks,
        parse=search.parse,
        split=search.split,
        embedder=search.space,
        indexes=search.space,
        decoder=models.decoder,
        gate=search.gate,
        work=storage.work,
        versions=storage.document_versions,
        duplicates=storage.duplicates,
    )
    stores_kv = settings.kv_admission == "ingest"
    return IngestPipeline(parts, IngestConfig(settings.max_document_bytes, stores_kv=stores_kv))


def build_cache(settings: Settings, storage: "Storage", models: "Models") -> CacheKeeper:
    return CacheKeeper(storage.cache_targets, models.decoder, storage.jobs, settings.kv_admission)


def build_admitter(
    settings: Settings, storage: "Storage", models: "Models", search: "Search"
) -> Admitter | None:
    if settings.kv_admission == "never":
        return None
    uses = UseCounter(settings.data_dir / "kv-uses.bin", models.decoder.namespace)
    admitter = Admitter(storage.cache_targets, models.decoder, uses, search.gate)
    models.decoder.on_missed = admitter.missed
    return admitter


def build_learner(
    settings: Settings, storage: "Storage", models: "Models", search: "Search"
) -> Learner | None:
    if settings.kv_variants == 0:
        return None
    learner = Learner(storage.cache_targets, models.decoder, search.gate)
    models.decoder.on_computed = learner.computed
    return learner
