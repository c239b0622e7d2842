"""Every repository over one real database, and short ways to fill it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.documents import Documents
from app.db.estimates import Estimates
from app.db.ingest_work import IngestWork
from app.db.job_leases import JobLeases
from app.db.jobs import Jobs
from app.db.lexical import lexical_search
from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from app.db.removal import Removal
from app.db.rows import DocumentRow
from app.db.runs import Runs
from app.db.session import Database
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.db.stamps import Stamps
from app.db.versions import Versions
from retrieval.protocols import LexicalIndex
from retrieval.types import Chunk, Document


@dataclass(frozen=True, slots=True)
class Store:
    """Every repository over one database."""

    database: Database
    path: Path
    collections: Collections
    sources: Sources
    documents: Documents
    removal: Removal
    chunks: Chunks
    lexical: LexicalIndex
    runs: Runs
    stamps: Stamps
    jobs: Jobs
    leases: JobLeases
    work: IngestWork
    document_versions: Versions
    source_changes: SourceChanges
    observations: Observations
    versions: ReliabilityVersions
    estimates: Estimates

    async def add(
        self, name: str, passages: Sequence[str], collection: str = "c", source: str = "s"
    ) -> DocumentRow:
        """A parsed document of one chunk a passage."""
        names = {row.name: row.id for row in await self.collections.list()}
        collection_id = names.get(collection) or (await self.collections.create(collection)).id
        source_id = (await self.sources.get_or_create(source)).id
        text = "\n".join(passages)
        row, created = await self.documents.add(
            collection_id, source_id, name, text.encode("utf-8", "replace"), "text/plain"
        )
        assert created
        await self.documents.save_parsed(row.id, *parsed(name, passages))
        return await self.documents.get(row.id)


def parsed(name: str, passages: Sequence[str]) -> tuple[Document, list[Chunk]]:
    chunks, start = [], 0
    for ordinal, passage in enumerate(passages):
        ids = tuple(passage.encode("utf-8", "replace"))
        end = start + len(passage)
        chunks.append(Chunk(ordinal, start, end, f"{name} title", passage, ids))
        start = end + 1
    return Document(f"{name} title", "\n".join(passages), "text/plain", ()), chunks


def make_store(database: Database, path: Path) -> Store:
    return Store(
        database,
        path,
        Collections(database),
        Sources(database),
        Documents(database),
        Removal(database),
        Chunks(database),
        lexical_search(database),
        Runs(database),
        Stamps(database),
        Jobs(database),
        JobLeases(database, "node", "one"),
        IngestWork(database),
        Versions(database),
        SourceChanges(database),
        Observations(database),
        ReliabilityVersions(database),
        Estimates(database),
    )
