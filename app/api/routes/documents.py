"""Documents and their chunks: upload, look, remove."""

from collections.abc import Mapping

from fastapi import APIRouter, Query, Request

from app.api.deps import ContainerDep
from app.api.schemas import (
    ChunkView,
    DeletedView,
    DocumentPage,
    DocumentView,
    Refusal,
    TextView,
    UploadResult,
)
from app.api.uploads import Upload, read_uploads
from app.bootstrap import Container
from app.db.facts import make_facts
from app.db.rows import DocumentFacts, PassageRow
from app.errors import DocumentTooLarge, InvalidValue

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
        }
    },
}


@router.post(
    "/collections/{collection_id}/documents",
    status_code=202,
    openapi_extra={"requestBody": UPLOAD_BODY},
)
async def upload_documents(
    collection_id: int, request: Request, container: ContainerDep
) -> UploadResult:
    await container.collections.get(collection_id)
    limit = container.settings.max_document_bytes
    async with read_uploads(request, limit) as form:
        if not form.files:
            raise InvalidValue("There is no part named file in the upload.")
        if len(form.files) == 1 and form.files[0].file is None:
            raise DocumentTooLarge(_too_large(form.files[0], limit))
        source = form.fields.get("source", "").strip() or DEFAULT_SOURCE
        facts = _facts(form.fields)
        try:
            items = [
                await _take(container, collection_id, source, part, facts) for part in form.files
            ]
        finally:
            container.worker.submit()  # what was taken is worked on even if a later part broke off
    return UploadResult(items=items)


@router.get("/collections/{collection_id}/documents")
async def list_documents(
    collection_id: int,
    container: ContainerDep,
    limit: int = Query(50, ge=1, le=200),
    after: int | None = Query(None, ge=1),
) -> DocumentPage:
    await container.collections.get(collection_id)
    rows, has_more = await container.documents.list(collection_id, limit, after)
    return DocumentPage(items=[DocumentView.model_validate(row) for row in rows], has_more=has_more)


@router.get("/documents/{document_id}")
async def get_document(document_id: int, container: ContainerDep) -> DocumentView:
    return DocumentView.model_validate(await container.documents.get(document_id))


@router.get("/documents/{document_id}/text")
async def get_document_text(document_id: int, container: ContainerDep) -> TextView:
    title, text = await container.documents.text(document_id)
    return TextView(id=document_id, title=title, text=text)


@router.delete("/documents/{document_id}")
async def delete_document(document_id: int, container: ContainerDep) -> DeletedView:
    report = await container.remover.delete(document_id)
    return DeletedView(
        chunks=report.chunks,
        kv_entries=report.kv_entries,
        kv_bytes=report.kv_bytes,
        observations=report.observations,
    )


@router.get("/chunks/{chunk_id}")
async def get_chunk(chunk_id: int, container: ContainerDep) -> ChunkView:
    return _chunk_view(await container.chunks.get(chunk_id))


def _facts(fields: Mapping[str, str]) -> DocumentFacts:
    """Of all documents of an upload."""
    return make_facts(fields.get("tags", "").split(","), fields.get("date", "").strip() or None)


async def _take(
    container: Container, collection_id: int, source: str, part: Upload, facts: DocumentFacts
) -> DocumentView | Refusal:
    if part.file is None:
        detail = _too_large(part, container.settings.max_document_bytes)
        return Refusal(name=part.name, code=DocumentTooLarge.code, detail=detail)
    body = await part.file.read()
    try:
        row, _ = await container.ingest.accept(
            collection_id, source, part.name, body, part.media_type, facts
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
