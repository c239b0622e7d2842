"""What an ingest job has to do next, over all of its documents at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app.db import job_items, models
from app.db.session import Database, retried

STATES = ("received", "chunked", "indexed")


@dataclass(frozen=True, slots=True)
class Work:
    """Ids of a job's documents by what each needs, oldest first."""

    received: tuple[int, ...]
    chunked: tuple[int, ...]
    indexed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ToEmbed:
    """A chunk without a vector; `text` is its label and passage, as the index sees it."""

    chunk_id: int
    document_id: int
    text: str


class IngestWork:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, job_id: str, limit: int) -> Work:
        """At most `limit` documents, those that cannot be found yet before the others."""
        item, document = models.JobItem, models.Document
        is_late = (document.state == "indexed").label("is_late")
        statement = (
            select(document.id, document.state, is_late)
            .join(item, item.document_id == document.id)
            .where(item.job_id == job_id, item.state == "queued")
            .where(document.visibility != "deleting", document.state.in_(STATES))
            .order_by("is_late", document.id)
            .distinct()
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
        return Work(*(tuple(row.id for row in rows if row.state == state) for state in STATES))

    async def unembedded(self, document_ids: Sequence[int], limit: int) -> list[ToEmbed]:
        """The first chunks of these documents that have no vector, document by document."""
        chunk = models.Chunk
        statement = (
            select(chunk.id, chunk.document_id, chunk.label, chunk.text)
            .outerjoin(models.Embedding)
            .where(chunk.document_id.in_(document_ids), models.Embedding.chunk_id.is_(None))
            .order_by(chunk.document_id, chunk.ordinal)
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return [ToEmbed(row.id, row.document_id, f"{row.label}\n{row.text}") for row in rows]

    @retried
    async def settle_forgotten(self, job_id: str) -> None:
        """Items whose document is neither on its way nor there any more have nothing left to do."""
        item, document = models.JobItem, models.Document
        busy = select(document.id).where(
            document.state.in_(STATES),
            document.visibility != "deleting",
        )
        ready = select(document.id).where(document.state == "ready")
        mine = (item.job_id == job_id, item.state == "queued")
        gone = (*mine, (item.document_id.is_(None)) | (item.document_id.not_in(busy)))
        async with self._database.transaction() as session:
            await job_items.settle(session, (*gone, item.document_id.in_(ready)), "done")
            await job_items.settle(session, gone, "cancelled", "its document is not there")
