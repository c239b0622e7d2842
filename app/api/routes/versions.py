"""Documents under their sender's own names: put, and whole folders kept in step."""

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from app.api.deps import ContainerDep
from app.api.idempotency import accepted, answer_once, digest_of
from app.api.job_schemas import JobView, SyncManifest, SyncPlan, SyncRemoval
from app.api.routes.documents import DEFAULT_SOURCE
from app.api.routes.jobs import view
from app.api.schemas import DocumentView
from app.api.values import Day, RowId
from app.bootstrap import Container
from app.db.facts import make_facts
from app.db.job_rows import new_job_id
from app.db.versions import Held, entity_tag
from app.errors import DocumentNotFound, DocumentTooLarge, InvalidValue, MassRemoval

# A folder that was unmounted or emptied by mistake looks like one whose files were all deleted.
MASS_SHARE = 0.5
MAX_SHOWN = 5  # paths in a message
MASS_COUNT = 10  # so many may go, unless nothing would be left

router = APIRouter(prefix="/api/v1/collections/{collection_id}", tags=["documents"])

RAW_BODY = {
    "required": True,
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}


@router.put(
    "/documents/by-external-id/{external_id:path}",
    status_code=202,
    response_model=DocumentView,
    openapi_extra={"requestBody": RAW_BODY},
)
async def put_document(
    collection_id: RowId,
    external_id: str,
    request: Request,
    container: ContainerDep,
    name: str | None = Query(None, max_length=1000),
    source: str = Query(DEFAULT_SOURCE, min_length=1, max_length=200),
    tags: str = Query("", max_length=10_000, description="separated by commas"),
    date: Day | None = None,
) -> Response:
    """The body is the document. 200 where it is there already, 202 where it is taken in."""
    if not 1 <= len(external_id) <= 1000:
        raise InvalidValue("An external id has 1 to 1,000 characters.")
    body = await _read(request, container.settings.max_document_bytes)
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_type = None if stated in {"", "application/octet-stream"} else stated
    facts = make_facts(tags.split(","), date.isoformat() if date else None)
    stated_facts = f"{sorted(facts.tags)} {facts.date}"
    digest = digest_of(
        external_id, source, name, media_type, stated_facts, _condition(request), body
    )

    async def make() -> JSONResponse:
        put = await container.ingest.put(
            collection_id,
            source,
            external_id,
            name or external_id,
            body,
            media_type,
            job_id := new_job_id(),
            if_match=_condition(request),
            facts=facts,
        )
        container.worker.submit()
        row = await container.documents.get(put.document_id)
        response = accepted(DocumentView.model_validate(row), job_id)
        response.headers["ETag"] = entity_tag(row.id, row.sha256)
        if put.outcome == "unchanged":
            response.status_code = 200
        return response

    return await answer_once(request, container, digest, make)


@router.post("/sync:plan")
async def plan_sync(collection_id: RowId, body: SyncManifest, container: ContainerDep) -> SyncPlan:
    """What differs between a folder and what is held of it. Changes nothing.

    A file whose document failed is among the changed ones: sent again, it is tried again.
    """
    held = await _held(container, collection_id, body.source, body.scope)
    here = {file.path: file.sha256 for file in body.files}
    there = {item.external_id.removeprefix(f"{body.scope}/"): item for item in held}
    both = here.keys() & there.keys()
    changed = sorted(
        path for path in both if here[path] != there[path].sha256 or there[path].is_failed
    )
    removed = sorted(there.keys() - here.keys())
    return SyncPlan(
        added=sorted(here.keys() - there.keys()),
        changed=changed,
        removed=removed,
        unchanged=len(both) - len(changed),
        is_mass_removal=_is_mass(len(removed), len(held)),
    )


@router.post("/sync:remove", status_code=202, response_model=JobView)
async def remove_synced(
    collection_id: RowId, body: SyncRemoval, container: ContainerDep
) -> JSONResponse:
    """The last phase: what is no more in the folder goes. Refuses to take most of it away."""
    held = await _held(container, collection_id, body.source, body.scope)
    names = {f"{body.scope}/{path}" for path in body.paths}
    gone = [item.external_id for item in held if item.external_id in names]
    if not gone:
        shown = ", ".join(map(repr, body.paths[:MAX_SHOWN]))
        raise DocumentNotFound(f"no document of {body.source!r} is held as any of {shown}")
    if not body.force and _is_mass(len(gone), len(held)):
        raise MassRemoval(
            f"{len(gone):,} of {len(held):,} documents would be removed. Is the folder whole? "
            "Send force to remove them all the same."
        )
    source = await container.sources.find(body.source)
    ids = await container.document_versions.ids(collection_id, source.id, gone)
    job = await container.deletions.request(ids, "sync")
    return accepted(view(job), job.id)


def _is_mass(num_removed: int, num_held: int) -> bool:
    is_all = 1 < num_removed == num_held  # a single file may always go
    return is_all or (num_removed > MASS_COUNT and num_removed > MASS_SHARE * num_held)


async def _held(container: Container, collection_id: int, source: str, scope: str) -> list[Held]:
    await container.collections.get(collection_id)
    row = await container.sources.named(source)
    if row is None:
        return []
    return await container.document_versions.held(collection_id, row.id, f"{scope}/")


def _condition(request: Request) -> str | None:
    """If-Match as it is; `If-None-Match: *` is the empty tag, which only nothing has."""
    if request.headers.get("if-none-match", "").strip() == "*":
        return ""
    return request.headers.get("if-match")


async def _read(request: Request, limit: int) -> bytes:
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) > limit:
            raise DocumentTooLarge(
                f"The document is larger than {limit:,} bytes (max_document_bytes)."
            )
    return bytes(held)
