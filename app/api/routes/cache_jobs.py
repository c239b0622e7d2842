"""Looking after stored KV: list and explain; and as jobs warm, pin, unpin, evict, verify, purge."""

from fastapi import APIRouter, Query, Response

from app.api.cache_schemas import (
    ChunkCachePage,
    ChunkCacheView,
    DocumentCacheList,
    DocumentCacheView,
    EvictBody,
    ScopeBody,
)
from app.api.deps import ContainerDep
from app.api.job_schemas import JobView
from app.api.values import RowId, RowIdOrZero
from app.bootstrap import Container
from app.db.job_rows import JobRow
from app.db.rows import CacheScope
from app.errors import InvalidValue

MAX_EXPLAINED = 100

router = APIRouter(prefix="/api/v1/cache", tags=["cache"])


@router.get("/entries")
async def list_entries(
    container: ContainerDep,
    collection: str | None = None,
    document_id: RowId | None = None,
    source: str | None = None,
) -> DocumentCacheList:
    named = [value for value in (collection, document_id, source) if value is not None]
    if len(named) > 1:
        raise InvalidValue("name one of collection, document_id and source, or none of them")
    body = (
        ScopeBody(collection=collection, document_id=document_id, source=source) if named else None
    )
    rows = await container.cache.documents(await _scope(container, body))
    return DocumentCacheList(items=[DocumentCacheView.model_validate(row) for row in rows])


@router.get("/explain")
async def explain(
    container: ContainerDep,
    chunk_id: RowId | None = None,
    document_id: RowId | None = None,
    after: RowIdOrZero = 0,
    limit: int = Query(20, ge=1, le=MAX_EXPLAINED),
) -> ChunkCachePage:
    if (chunk_id is None) == (document_id is None):
        raise InvalidValue("name either chunk_id or document_id")
    scope = await _scope(container, ScopeBody(chunk_id=chunk_id, document_id=document_id))
    rows = await container.cache.explain(scope, after, limit + 1)
    return ChunkCachePage(
        items=[ChunkCacheView.model_validate(row) for row in rows[:limit]],
        has_more=len(rows) > limit,
    )


@router.post("/warm", status_code=202)
async def warm(body: ScopeBody, container: ContainerDep, response: Response) -> JobView:
    job = await container.cache.start("warm", await _scope(container, body))
    return _accepted(job, container, response)


@router.post("/pin", status_code=202)
async def pin(body: ScopeBody, container: ContainerDep, response: Response) -> JobView:
    job = await container.cache.start("pin", await _scope(container, body))
    return _accepted(job, container, response)


@router.post("/unpin", status_code=202)
async def unpin(body: ScopeBody, container: ContainerDep, response: Response) -> JobView:
    job = await container.cache.start("unpin", await _scope(container, body))
    return _accepted(job, container, response)


@router.post("/evict", status_code=202)
async def evict(body: EvictBody, container: ContainerDep, response: Response) -> JobView:
    if body.to_bytes is not None:
        return _accepted(await container.cache.shrink(body.to_bytes), container, response)
    job = await container.cache.start("evict", await _scope(container, body.scope))
    return _accepted(job, container, response)


@router.post("/verify", status_code=202)
async def verify(container: ContainerDep, response: Response) -> JobView:
    return _accepted(await container.cache.verify(), container, response)


@router.post("/purge", status_code=202)
async def purge(body: ScopeBody, container: ContainerDep, response: Response) -> JobView:
    job = await container.cache.start("purge", await _scope(container, body))
    return _accepted(job, container, response)


def _accepted(job: JobRow, container: Container, response: Response) -> JobView:
    container.worker.submit()
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobView.model_validate(job)


async def _scope(container: Container, body: ScopeBody | None) -> CacheScope:
    """What was named, which has to be there."""
    if body is None or body.tenant is not None:
        return CacheScope("tenant")
    if body.chunk_id is not None:
        return CacheScope("chunk", (await container.chunks.get(body.chunk_id)).chunk_id)
    if body.document_id is not None:
        return CacheScope("document", (await container.documents.get(body.document_id)).id)
    if body.collection is not None:
        return CacheScope("collection", (await container.collections.find(body.collection)).id)
    return CacheScope("source", (await container.sources.find(str(body.source))).id)
