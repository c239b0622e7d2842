"""Items of jobs, written inside the transaction that changes what they stand for.

Knows no lease: an item is settled by whoever settles its document.
"""

import json
import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.job_rows import OPEN, ItemState, NewJob

QUIET = {"synchronize_session": False}
CANCELLED = "its ingestion was cancelled"
ENDED: tuple[ItemState, ...] = ("failed", "cancelled")


async def enqueue(session: AsyncSession, new: NewJob) -> None:
    """Make the job if need be; one that had ended goes on. One that was asked to end does so first,
    and a cancelled one goes on as if new: what comes after somebody cancelled it is not meant."""
    job = await session.get(models.Job, new.id)
    if job is not None and job.state in OPEN and job.is_cancelling:
        await end_cancelled(session, job)
    if job is None:
        session.add(_job(new))
        await session.flush()
    elif job.state not in OPEN:
        job.state, job.finished_at, job.rank = "queued", None, new.rank
        job.is_cancelling, job.error, job.attempts, job.available_at = False, None, 0, 0.0


async def end_cancelled(session: AsyncSession, job: models.Job) -> None:
    """Open items are cancelled, and documents that nobody else works on with them: one that can be
    found already stays, without KV; one that cannot is `failed`, and may be tried again."""
    item, document = models.JobItem, models.Document
    mine = (item.job_id == job.id, item.state == "queued")
    document_ids = (await session.scalars(select(item.document_id).where(*mine))).all()
    await settle(session, mine, "cancelled")
    held = select(item.document_id).where(item.state == "queued", item.document_id.is_not(None))
    alone = (
        document.id.in_([number for number in document_ids if number is not None]),
        document.id.not_in(held),
    )
    await session.execute(
        update(document)
        .where(*alone, document.state.in_(("received", "chunked")))
        .values(state="failed", error=CANCELLED),
        execution_options=QUIET,
    )
    await session.execute(
        update(document).where(*alone, document.state == "indexed").values(state="ready"),
        execution_options=QUIET,
    )
    job.state, job.finished_at = "cancelled", time.time()
    job.lease_owner = None


async def add_item(
    session: AsyncSession,
    job_id: str,
    key: str,
    document_id: int | None = None,
    state: ItemState = "queued",
    error: str | None = None,
) -> None:
    item = models.JobItem(job_id=job_id, key=key, document_id=document_id, state=state, error=error)
    session.add(item)
    job = models.Job
    counts = {"total": job.total + 1} | _counted(state, 1)
    await session.execute(
        update(job).where(job.id == job_id).values(counts), execution_options=QUIET
    )


async def settle_documents(
    session: AsyncSession,
    document_ids: Sequence[int],
    state: ItemState,
    error: str | None = None,
) -> None:
    """Every open item of the documents gets this state, whatever its job; deletions excepted."""
    item, job = models.JobItem, models.Job
    deletions = select(job.id).where(job.kind == "delete")
    where = (
        item.document_id.in_(document_ids),
        item.state == "queued",
        item.job_id.not_in(deletions),
    )
    await settle(session, where, state, error)


async def settle(
    session: AsyncSession,
    where: Sequence[ColumnElement[bool]],
    state: ItemState,
    error: str | None = None,
) -> None:
    """Items that fit `where` get this state, and the counts of their jobs follow."""
    item, job = models.JobItem, models.Job
    grouped = select(item.job_id, func.count().label("n")).where(*where).group_by(item.job_id)
    rows = (await session.execute(grouped)).all()
    if not rows:
        return
    change = update(item).where(*where).values(state=state, error=error)
    await session.execute(change, execution_options=QUIET)
    for row in rows:
        if values := _counted(state, row.n):
            statement = update(job).where(job.id == row.job_id).values(values)
            await session.execute(statement, execution_options=QUIET)


async def forget_names(session: AsyncSession, document_id: int) -> None:
    """Items of a deleted document keep their place without its name."""
    item = models.JobItem
    await session.execute(
        update(item)
        .where(item.document_id == document_id)
        .values(key=f"document {document_id}", error=None),
        execution_options=QUIET,
    )


async def reopen(session: AsyncSession, job_id: str) -> list[int]:
    """Put failed and cancelled items back; the documents they stand for."""
    item, job = models.JobItem, models.Job
    ended = (item.job_id == job_id, item.state.in_(ENDED))
    found = await session.scalars(select(item.document_id).where(*ended))
    document_ids = [number for number in found if number is not None]
    await session.execute(
        update(item).where(*ended).values(state="queued", error=None), execution_options=QUIET
    )
    await session.execute(
        update(job).where(job.id == job_id).values(failed=0), execution_options=QUIET
    )
    return document_ids


async def drop_old(session: AsyncSession, before: float) -> None:
    """Forget jobs that ended before that time."""
    job, item = models.Job, models.JobItem
    old = select(job.id).where(job.finished_at < before, job.state.not_in(OPEN))
    await session.execute(delete(item).where(item.job_id.in_(old)), execution_options=QUIET)
    await session.execute(
        delete(job).where(job.finished_at < before, job.state.not_in(OPEN)),
        execution_options=QUIET,
    )


def _counted(state: ItemState, number: int) -> dict[str, object]:
    job = models.Job
    columns = {"done": job.done, "failed": job.failed, "skipped": job.skipped}
    column = columns.get(state)
    return {} if column is None else {state: column + number}


def _job(new: NewJob) -> models.Job:
    return models.Job(
        id=new.id,
        kind=new.kind,
        state="queued",
        rank=new.rank,
        collection_id=new.collection_id,
        payload_json=json.dumps(dict(new.payload)),
        total=new.total,
        done=0,
        failed=0,
        skipped=0,
        attempts=0,
        is_cancelling=False,
        lease_beat=0,
        available_at=0.0,
        served=0,
        created_at=time.time(),
    )
