"""Documents and their chunks: upload, look, remove."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from app.api.deps import ContainerDep
from app.api.idempotency import HEADER, accepted, answer_once, digest_of
from app.api.job_schemas import JobView, NewText, UploadResult
from app.api.schemas import (
    BlockPage,
    BlockView,
    ChunkView,
    DeletedView,
    DocumentDetail,
    DocumentPage,
    DocumentView,
    DuplicateView,
    Refusal,
    TextView,
)
from app.api.uploads import Upload, UploadForm, read_json, read_uploads
from app.api.values import ROW_LIMIT, RowId
from app.bootstrap import Container
from app.db.facts import make_facts
from app.db.job_rows import new_job_id
from app.db.rows import DocumentFacts, PassageRow
from app.db.versions import entity_tag
from app.errors import DocumentTooLarge, InvalidValue, PreconditionFailed

DEFAULT_SOURCE = "uploads"
# A request may bring this many documents of the largest size; more is cut off while it arrives.
MAX_LARGEST_FILES = 40
MULTIPART_OVERHEAD = 1 << 20

router = APIRouter(prefix="/api/v1", tags=["documents"])


def max_upload_bytes(max_document_bytes: int) -> int:
    return MAX_LARGEST_FILES * max_document_bytes + MULTIPART_OVERHEAD


UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "source": {"type": "string", "default": DEFAULT_SOURCE},
                    "tags": {"type": "string", "description": "separated by commas"},
                    "date": {"type": "string", "format": "date"},
                },
            }
        },
        "application/json": {"schema": NewText.model_json_schema()},
    },
}


@router.post(
    "/collections/{collection_id}/documents",
    status_code=202,
    response_model=UploadResult,
    openapi_extra={"requestBody": UPLOAD_BODY},
)
async def upload_documents(
    collection_id: RowId, request: Request, container: ContainerDep
) -> Response:
    await container.collections.get(collection_id)
    limit = container.settings.max_document_bytes
    if request.headers.get("content-type", "").startswith("application/json"):
        return await _upload_text(collection_id, request, container)
    async with read_uploads(request, limit) as form:
        if not form.files:
            raise InvalidValue("There is no part named file in the upload.")
        if len(form.files) == 1 and form.files[0].file is None:
            raise DocumentTooLarge(_too_large(form.files[0], limit))

        async def make() -> JSONResponse:
            return await _take_all(container, collection_id, form)

        is_keyed = HEADER in request.headers
        digest = await _digest(form) if is_keyed else ""
        return await answer_once(request, container, digest, make)


@router.get("/collections/{collection_id}/documents")
async def list_documents(
    collection_id: RowId,
    container: ContainerDep,
    limit: int = Query(50, ge=1, le=200),
    after: RowId | None = None,
) -> DocumentPage:
    await container.collections.get(collection_id)
    rows, has_more = await container.documents.list(collection_id, limit, after)
    return DocumentPage(items=[DocumentView.model_validate(row) for row in rows], has_more=has_more)


@router.get("/documents/{document_id}")
async def get_document(
    document_id: RowId, response: Response, container: ContainerDep
) -> DocumentDetail:
    row = await container.documents.get(document_id)
    response.headers["ETag"] = entity_tag(row.id, row.sha256)
    detail = DocumentDetail.model_validate(row)
    rows = await container.duplicates.of_document(document_id)
    detail.duplicates = [DuplicateView.model_validate(row) for row in rows]
    return detail


@router.get("/documents/{document_id}/text")
async def get_document_text(document_id: RowId, container: ContainerDep) -> TextView:
    title, text = await container.documents.text(document_id)
    return TextView(id=document_id, title=title, text=text)


@router.get("/documents/{document_id}/blocks")
async def get_document_blocks(
    document_id: RowId,
    container: ContainerDep,
    limit: int = Query(500, ge=1, le=5000),
    after: int = Query(-1, ge=-1, lt=ROW_LIMIT),
) -> BlockPage:
    """Headings, paragraphs, lists, tables and code in their order; `after` is an ordinal."""
    blocks = await container.documents.blocks(document_id)
    shown = list(enumerate(blocks))[after + 1 : after + 1 + limit]
    items = [BlockView(ordinal=ordinal, **asdict(block)) for ordinal, block in shown]
    return BlockPage(items=items, has_more=after + 1 + limit < len(blocks))


@router.delete("/documents/{document_id}", responses={202: {"model": JobView}})
async def delete_document(
    document_id: RowId, request: Request, response: Response, container: ContainerDep
) -> DeletedView:
    """200 when it is gone everywhere; 202 with the job where that is not so yet, or, with
    `Prefer: respond-async`, at once."""
    row = await container.documents.get(document_id)
    wanted = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
    if wanted.isdisjoint({"*", entity_tag(row.id, row.sha256)}):
        raise PreconditionFailed(f"the document is {entity_tag(row.id, row.sha256)} by now")
    if "respond-async" in request.headers.get("prefer", ""):
        job = await container.deletions.request([document_id])
        return accepted(JobView.model_validate(job), job.id)  # type: ignore[return-value]
    report = await container.deletions.delete(document_id)
    if not report.is_complete:
        job = await container.jobs.get(report.job_id)
        return accepted(JobView.model_validate(job), job.id)  # type: ignore[return-value]
    response.headers["Location"] = f"/api/v1/jobs/{report.job_id}"
    return DeletedView(
        chunks=report.chunks,
        kv_entries=report.kv_entries,
        kv_bytes=report.kv_bytes,
        job_id=report.job_id,
        observations=report.observations,
    )


@router.get("/chunks/{chunk_id}")
async def get_chunk(chunk_id: RowId, container: ContainerDep) -> ChunkView:
    return _chunk_view(await container.chunks.get(chunk_id))


def _facts(fields: Mapping[str, str]) -> DocumentFacts:
    """Of all documents of an upload."""
    return make_facts(fields.get("tags", "").split(","), fields.get("date", "").strip() or None)


async def take_text(
    container: Container, collection_id: int, job_id: str, new: NewText
) -> tuple[int, str]:
    """(document id, what became of it)."""
    source, body = new.source or DEFAULT_SOURCE, new.text.encode()
    facts = new.facts()
    if new.external_id is not None:
        put = await container.ingest.put(
            collection_id,
            source,
            new.external_id,
            new.name,
            body,
            new.media_type,
            job_id,
            facts=facts,
        )
        return put.document_id, put.outcome
    row, created = await container.ingest.accept(
        collection_id, source, new.name, body, new.media_type, job_id, facts
    )
    return row.id, "created" if created else "unchanged"


async def _upload_text(collection_id: int, request: Request, container: Container) -> Response:
    new = await read_json(request, container.settings.max_document_bytes)

    async def make() -> JSONResponse:
        job_id = new_job_id()
        document_id, _ = await take_text(container, collection_id, job_id, new)
        row = await container.documents.get(document_id)
        container.worker.submit()
        items = [DocumentView.model_validate(row)]
        return accepted(UploadResult(items=list(items), job_id=job_id), job_id)

    return await answer_once(request, container, digest_of(new.model_dump_json()), make)


async def _take_all(container: Container, collection_id: int, form: UploadForm) -> JSONResponse:
    source = form.fields.get("source", "").strip() or DEFAULT_SOURCE
    facts, job_id = _facts(form.fields), new_job_id()
    try:
        items = [
            await _take(container, collection_id, source, part, job_id, facts)
            for part in form.files
        ]
    finally:
        container.worker.submit()  # what was taken is worked on even if a later part broke off
    named = job_id if any(isinstance(item, DocumentView) for item in items) else None
    return accepted(UploadResult(items=items, job_id=named), named)


async def _digest(form: UploadForm) -> str:
    """Of what was sent; the boundaries between parts are others each time."""
    parts: list[str | bytes | None] = [f"{key}={form.fields[key]}" for key in sorted(form.fields)]
    for part in form.files:
        parts += [part.name, part.media_type]
        if part.file is not None:
            parts.append(hashlib.sha256(await part.file.read()).digest())
            await part.file.seek(0)
    return digest_of(*parts)


async def _take(
    container: Container,
    collection_id: int,
    source: str,
    part: Upload,
    job_id: str,
    facts: DocumentFacts,
) -> DocumentView | Refusal:
    if part.file is None:
        detail = _too_large(part, container.settings.max_document_bytes)
        return Refusal(name=part.name, code=DocumentTooLarge.code, detail=detail)
    body = await part.file.read()
    try:
        row, _ = await container.ingest.accept(
            collection_id, source, part.name, body, part.media_type, job_id, facts
        )
    except (InvalidValue, DocumentTooLarge) as error:
        return Refusal(name=part.name, code=error.code, detail=str(error))
    return DocumentView.model_validate(row)


def _too_large(part: Upload, limit: int) -> str:
    return f"{part.name or 'The file'} is larger than {limit:,} bytes (max_document_bytes)."


def _chunk_view(row: PassageRow) -> ChunkView:
    return ChunkView(
        id=row.chunk_id,
        document_id=row.document_id,
        title=row.title,
        source=row.source,
        reliability=row.reliability,
        label=row.label,
        text=row.text,
        start=row.start,
        end=row.end,
        page=row.page,
    )
