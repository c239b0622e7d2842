"""Jobs: looked at, followed, cancelled, tried again."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.api.deps import ContainerDep
from app.api.job_schemas import JobItemPage, JobItemView, JobPage, JobView
from app.api.sse import EventStream, encode
from app.api.values import RowId
from app.bootstrap import Container
from app.db.job_rows import ItemState, JobRow, JobState
from app.errors import JobNotFound

LOOK_S = 0.5

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


@router.get("")
async def list_jobs(
    container: ContainerDep,
    limit: int = Query(50, ge=1, le=200),
    after: str | None = None,
    state: Annotated[list[JobState] | None, Query()] = None,
    collection_id: RowId | None = None,
) -> JobPage:
    rows, has_more = await container.jobs.list(
        limit, after=after, states=state or (), collection_id=collection_id
    )
    return JobPage(items=[view(row) for row in rows], has_more=has_more)


@router.get("/{job_id}")
async def get_job(job_id: str, container: ContainerDep) -> JobView:
    return view(await container.jobs.get(job_id))


@router.get("/{job_id}/items")
async def list_job_items(
    job_id: str,
    container: ContainerDep,
    limit: int = Query(50, ge=1, le=200),
    after: RowId | None = None,
    state: ItemState | None = None,
) -> JobItemPage:
    await container.jobs.get(job_id)
    rows, has_more = await container.jobs.items(job_id, limit, after=after, state=state)
    return JobItemPage(items=[JobItemView.model_validate(row) for row in rows], has_more=has_more)


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: str, container: ContainerDep) -> JobView:
    return view(await container.jobs.cancel(job_id))


@router.post("/{job_id}/retry")
async def retry_job(job_id: str, container: ContainerDep) -> JobView:
    row = await container.jobs.retry(job_id)
    container.worker.submit()
    return view(row)


@router.get("/{job_id}/events")
async def follow_job(job_id: str, container: ContainerDep) -> EventStream:
    return EventStream(_events(container, await container.jobs.get(job_id)))


def view(row: JobRow) -> JobView:
    return JobView.model_validate(row)


async def _events(container: Container, job: JobRow) -> AsyncGenerator[str, None]:
    """The job whenever it has changed, until it has ended."""
    shown, event_id = None, 0
    while True:
        data = view(job).model_dump(mode="json", exclude={"heartbeat_at"})
        if data != shown:
            shown, event_id = data, event_id + 1
            name: Literal["job.updated", "job.completed"]
            name = "job.updated" if job.is_open else "job.completed"
            yield encode(data, event=name, event_id=event_id)
        if not job.is_open:
            return
        await asyncio.sleep(LOOK_S)
        try:
            job = await container.jobs.get(job.id)
        except JobNotFound:
            return
