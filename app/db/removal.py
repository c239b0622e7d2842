"""The complete removal of a document: rows, words, quotations in runs, what was observed in it,
pending KV purges.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import job_items, models, tokens
from app.db.passage_state import take_turn
from app.db.quotations import quoting_labels
from app.db.reliability_models import Observation, Probe
from app.db.rows import DeletedDocument, PurgeRow
from app.db.session import Database, retried
from app.db.versions import tombstone
from app.errors import DocumentNotFound

REDACTED = {
    "answer": "",
    "plan_json": None,
    "passages_json": "[]",
    "citations_json": "[]",
    "verdict_json": None,
    "is_redacted": True,
}


class Removal:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def request(self, document_ids: Sequence[int], reason: str) -> str:
        """Hide documents from everybody and enqueue their removal, in one transaction; the job."""
        async with self._database.transaction() as session:
            job_id = await tombstone(session, document_ids, {"reason": reason})
        if job_id is None:
            named = ", ".join(map(str, document_ids))
            raise DocumentNotFound(f"there is no document {named}")
        return job_id

    async def sweep(self) -> None:
        """Take deleted words and text out of the files they lay in: 0.3 s at 10,000 chunks."""
        if self._database.is_sqlite:
            async with self._database.transaction() as session:
                # Rewrites the word index without the words of deleted rows, which it would keep
                # for now.
                await session.execute(
                    text("INSERT INTO chunks_fts(chunks_fts) VALUES ('optimize')")
                )
        await self.scrub()

    @retried
    async def delete(self, document_id: int) -> DeletedDocument:
        """Remove every row and every quotation of a document; runs keep their question and figures.

        Token ids that no other chunk has are noted as pending purges in the same transaction, so
        that a crash before the KV store has forgotten them loses nothing. `sweep` comes after it.
        """
        async with self._database.transaction() as session:
            await take_turn(session)
            document = await session.get(models.Document, document_id)
            if document is None:
                raise DocumentNotFound(f"there is no document {document_id}")
            chunk_ids = await session.scalars(
                select(models.Chunk.id).where(models.Chunk.document_id == document_id)
            )
            num_words = await self._count_words(session, document_id)
            token_ids = await _note_orphans(session, document_id)
            observations = await _forget_observations(session, document_id)
            num_runs = await _redact_runs(session, document_id)
            await session.delete(document)
            mine = (models.JobItem.document_id == document_id, models.JobItem.state == "queued")
            await job_items.settle(session, mine, "done")
            await job_items.forget_names(session, document_id)
            await _forget_answers(session, document_id)
        return DeletedDocument(
            document_id,
            document.collection_id,
            tuple(chunk_ids.all()),
            token_ids,
            observations,
            num_words,
            num_runs,
        )

    async def _count_words(self, session: AsyncSession, document_id: int) -> int:
        """Chunks of the document that the index of words holds; they go with their rows."""
        table, key = ("chunk_words", "chunk_id")
        if self._database.is_sqlite:
            table, key = ("chunks_fts_docsize", "id")
        statement = text(
            f"SELECT count(*) FROM {table} AS held JOIN chunks ON chunks.id = held.{key} "
            "WHERE chunks.document_id = :document"
        )
        return await session.scalar(statement, {"document": document_id}) or 0

    async def scrub(self) -> None:
        """Take deleted text out of the write-ahead log too; at start, what a crash left there."""
        await self._database.checkpoint()

    @retried
    async def pending_purges(self) -> Sequence[PurgeRow]:
        """What the KV store has still to forget, less what a newer chunk needs again."""
        purge, chunk = models.PendingPurge, models.Chunk
        needed = select(chunk.id).where(chunk.tokens_sha256 == purge.tokens_sha256).exists()
        async with self._database.transaction() as session:
            await session.execute(delete(purge).where(needed))
            rows = await session.execute(select(purge.id, purge.token_ids).order_by(purge.id))
            return [PurgeRow(row.id, tokens.unpack(row.token_ids)) for row in rows]

    @retried
    async def mark_purged(self, purge_ids: Sequence[int]) -> None:
        statement = delete(models.PendingPurge).where(models.PendingPurge.id.in_(purge_ids))
        async with self._database.transaction() as session:
            await session.execute(statement)


async def _note_orphans(session: AsyncSession, document_id: int) -> tuple[tuple[int, ...], ...]:
    chunk, other = models.Chunk, aliased(models.Chunk)
    shared = (
        select(other.id)
        .where(other.tokens_sha256 == chunk.tokens_sha256, other.document_id != document_id)
        .exists()
    )
    mine = select(chunk.token_ids, chunk.tokens_sha256).distinct()
    rows = (await session.execute(mine.where(chunk.document_id == document_id, ~shared))).all()
    session.add_all(
        models.PendingPurge(token_ids=row.token_ids, tokens_sha256=row.tokens_sha256)
        for row in rows
    )
    return tuple(tokens.unpack(row.token_ids) for row in rows)


async def _forget_observations(session: AsyncSession, document_id: int) -> int:
    """What was read in the document, asked about it, or said about an answer that quotes it; and
    what a person typed out of it."""
    saw_it = select(models.RunDocument.run_id).where(models.RunDocument.document_id == document_id)
    asked = select(Observation.question).where(Observation.question_document_id == document_id)
    planned = select(Probe.question).where(Probe.document_id == document_id)
    questions = (await session.scalars(asked.union(planned))).all()  # its sentences, word for word
    gone = or_(
        Observation.document_id == document_id,
        Observation.question.in_(questions),
        Observation.run_id.in_(saw_it),
        Observation.id.in_(await quoting_labels(session, document_id)),
    )
    statement = delete(Observation).where(gone).returning(Observation.id)
    unsynchronised = {"synchronize_session": False}
    found = await session.scalars(statement, execution_options=unsynchronised)
    await session.execute(
        delete(Probe).where(Probe.document_id == document_id), execution_options=unsynchronised
    )
    return len(found.all())


async def _forget_answers(session: AsyncSession, document_id: int) -> None:
    """Answers that are kept for requests made twice, where they show the document."""
    body = models.IdempotencyKey.body
    shows = or_(
        body.contains(f'"id":{document_id},'), body.contains(f'"document_id":{document_id},')
    )
    await session.execute(
        delete(models.IdempotencyKey).where(shows),
        execution_options={"synchronize_session": False},
    )


async def _redact_runs(session: AsyncSession, document_id: int) -> int:
    """How many runs had seen the document."""
    run = models.RunDocument
    counted = select(func.count()).select_from(run).where(run.document_id == document_id)
    num_runs = await session.scalar(counted) or 0
    saw_it = select(models.RunDocument.run_id).where(models.RunDocument.document_id == document_id)
    await session.execute(
        update(models.Run).where(models.Run.id.in_(saw_it)).values(REDACTED),
        execution_options={"synchronize_session": False},
    )
    await session.execute(
        delete(models.RunDocument).where(models.RunDocument.document_id == document_id),
        execution_options={"synchronize_session": False},
    )
    return num_runs
