"""Jobs as people and routes see them: enqueue, look, cancel, try again. Who works on one, and for
how long, is job_leases.py."""

import json
import time
from collections.abc import Sequence
from typing import cast

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import job_items, models
from app.db.job_rows import (
    OPEN,
    ItemState,
    JobItemRow,
    JobRow,
    JobState,
    NewJob,
    intake_of,
)
from app.db.session import Database, retried
from app.errors import JobNotFound, JobNotOpen

PENDING = ("received", "chunked", "indexed")
KEEP_S = 30 * 86400.0  # how long ended jobs are shown

JobRows = list[JobRow]
Items = list[JobItemRow]


class Jobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def enqueue(self, new: NewJob, keys: Sequence[str] = ()) -> JobRow:
        """Commit the job with an item for each key."""
        async with self._database.transaction() as session:
            await job_items.enqueue(session, new)
            for key in keys:
                await job_items.add_item(session, new.id, key)
        return await self.get(new.id)

    async def get(self, job_id: str) -> JobRow:
        async with self._database.session() as session:
            job = await session.get(models.Job, job_id)
        if job is None:
            raise JobNotFound(f"there is no job {job_id}")
        return to_row(job)

    async def list(
        self,
        limit: int,
        *,
        after: str | None = None,
        states: Sequence[str] = (),
        collection_id: int | None = None,
    ) -> tuple[JobRows, bool]:
        """Newest first; `after` is the last one of the page before. (rows, has more)."""
        job = models.Job
        statement = select(job).order_by(job.created_at.desc(), job.id.desc()).limit(limit + 1)
        if states:
            statement = statement.where(job.state.in_(states))
        if collection_id is not None:
            statement = statement.where(job.collection_id == collection_id)
        if after is not None:
            last = await self.get(after)
            same = (job.created_at == last.created_at) & (job.id < last.id)
            statement = statement.where((job.created_at < last.created_at) | same)
        async with self._database.session() as session:
            rows = [to_row(found) for found in await session.scalars(statement)]
        return rows[:limit], len(rows) > limit

    async def items(
        self,
        job_id: str,
        limit: int,
        *,
        after: int | None = None,
        state: ItemState | None = None,
    ) -> tuple[Items, bool]:
        """In the order they were added. (rows, has more)."""
        item = models.JobItem
        statement = select(item).where(item.job_id == job_id).order_by(item.id).limit(limit + 1)
        if state is not None:
            statement = statement.where(item.state == state)
        if after is not None:
            statement = statement.where(item.id > after)
        async with self._database.session() as session:
            rows = [_to_item(found) for found in await session.scalars(statement)]
        return rows[:limit], len(rows) > limit

    @retried
    async def settle_item(
        self, job_id: str, item_id: int, document_id: int | None = None, error: str | None = None
    ) -> None:
        """An item that is not settled with its document is done, or failed where there is an
        `error`; `document_id` is what came of it."""
        item = models.JobItem
        mine = (item.id == item_id, item.job_id == job_id, item.state == "queued")
        async with self._database.transaction() as session:
            if document_id is not None:
                await session.execute(update(item).where(*mine).values(document_id=document_id))
            await job_items.settle(session, mine, "failed" if error else "done", error)

    @retried
    async def cancel(self, job_id: str) -> JobRow:
        """Ask for the end of a job, and of the one that takes in what it fetched. What runs is told
        after its step; what waits ends now."""
        async with self._database.transaction() as session:
            await _cancel(session, await _open_job(session, job_id))
            taking_in = await session.get(models.Job, intake_of(job_id), with_for_update=True)
            if taking_in is not None and taking_in.state in OPEN:
                await _cancel(session, taking_in)
        return await self.get(job_id)

    @retried
    async def retry(self, job_id: str) -> JobRow:
        """Failed and cancelled items once more; what was done stays done."""
        async with self._database.transaction() as session:
            job = await _found(session, job_id)
            if job.state in {*OPEN, "succeeded"}:
                raise JobNotOpen(f"job {job_id} is {job.state}; there is nothing to try again")
            document_ids = await job_items.reopen(session, job_id)
            await session.execute(
                update(models.Job)
                .where(models.Job.id == job_id)
                .values(
                    state="queued",
                    rank=0,
                    attempts=0,
                    error=None,
                    is_cancelling=False,
                    available_at=0.0,
                    finished_at=None,
                ),
                execution_options=job_items.QUIET,
            )
            for document_id in document_ids:
                await retry_document(session, document_id)
        return await self.get(job_id)

    async def count_open(self) -> int:
        statement = select(func.count()).select_from(models.Job).where(models.Job.state.in_(OPEN))
        async with self._database.session() as session:
            return await session.scalar(statement) or 0

    @retried
    async def adopt_documents(self) -> int:
        """At start: documents on their way that are in no open job get one. How many there were.

        They come from a database of before there were jobs, or were put back because a model
        changed.
        """
        document, item, job = models.Document, models.JobItem, models.Job
        is_held = exists().where(
            item.document_id == document.id,
            item.state == "queued",
            item.job_id == job.id,
            job.kind == "ingest",
            job.state.in_(OPEN),
        )
        statement = select(document.id, document.name, document.collection_id).where(
            document.state.in_(PENDING), document.visibility != "deleting", ~is_held
        )
        async with self._database.transaction() as session:
            rows = (await session.execute(statement.order_by(document.id))).all()
            made: dict[int, NewJob] = {}
            for row in rows:
                new = made.get(row.collection_id)
                if new is None:
                    new = NewJob("ingest", row.collection_id, {"reason": "restart"})
                    made[row.collection_id] = new
                    await job_items.enqueue(session, new)
                await job_items.add_item(session, new.id, row.name, row.id)
        return len(rows)

    @retried
    async def forget_old(self, keep_s: float = KEEP_S) -> None:
        async with self._database.transaction() as session:
            await job_items.drop_old(session, time.time() - keep_s)


async def retry_document(session: AsyncSession, document_id: int) -> None:
    """Put a failed document back to the last step it had finished, and one whose job was cancelled
    before its KV was stored to that step; others stay as they are."""
    document, chunk = models.Document, models.Chunk
    is_parsed = document.text.is_not(None)
    failed = update(document).where(document.id == document_id, document.state == "failed")
    await session.execute(
        failed.where(is_parsed).values(state="chunked", error=None),
        execution_options=job_items.QUIET,
    )
    await session.execute(
        failed.where(~is_parsed).values(state="received", error=None, parse_attempts=0),
        execution_options=job_items.QUIET,
    )
    without_kv = exists().where(chunk.document_id == document_id, ~chunk.is_cached)
    await session.execute(
        update(document)
        .where(document.id == document_id, document.state == "ready", without_kv)
        .values(state="indexed"),
        execution_options=job_items.QUIET,
    )


def to_row(job: models.Job) -> JobRow:
    return JobRow(
        id=job.id,
        kind=job.kind,
        state=cast(JobState, job.state),
        collection_id=job.collection_id,
        stage=job.stage,
        payload=json.loads(job.payload_json),
        result=None if job.result_json is None else json.loads(job.result_json),
        total=job.total,
        done=job.done,
        failed=job.failed,
        skipped=job.skipped,
        attempts=job.attempts,
        error=job.error,
        is_cancelling=job.is_cancelling,
        heartbeat_at=job.heartbeat_at,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        lease_owner=job.lease_owner,
        lease_beat=job.lease_beat,
    )


def _to_item(item: models.JobItem) -> JobItemRow:
    return JobItemRow(
        item.id, item.job_id, item.key, item.document_id, cast(ItemState, item.state), item.error
    )


async def _found(session: AsyncSession, job_id: str) -> models.Job:
    job = await session.get(models.Job, job_id, with_for_update=True)
    if job is None:
        raise JobNotFound(f"there is no job {job_id}")
    return job


async def _cancel(session: AsyncSession, job: models.Job) -> None:
    job.is_cancelling = True
    if job.state == "queued":
        await job_items.end_cancelled(session, job)


async def _open_job(session: AsyncSession, job_id: str) -> models.Job:
    job = await _found(session, job_id)
    if job.state not in OPEN:
        raise JobNotOpen(f"job {job_id} is {job.state} already")
    if job.kind == "delete":
        raise JobNotOpen("a deletion that was accepted cannot be cancelled")
    return job
