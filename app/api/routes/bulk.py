"""Many documents at once: lines of JSON, and lists of addresses."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.api.deps import ContainerDep
from app.api.errors import to_problem
from app.api.idempotency import accepted, answer_once, digest_of
from app.api.job_schemas import BulkLine, BulkResult, NewText, NewUrls
from app.api.routes.documents import DEFAULT_SOURCE, take_text
from app.api.routes.jobs import view
from app.api.uploads import max_json_bytes, parse_text
from app.api.values import RowId
from app.bootstrap import Container
from app.db.job_rows import NewJob, new_job_id
from app.errors import DocumentTooLarge, InvalidValue, LarderError

NDJSON = "application/x-ndjson"
MAX_LINES = 10_000

router = APIRouter(prefix="/api/v1/collections/{collection_id}", tags=["documents"])

BULK_BODY = {"required": True, "content": {NDJSON: {"schema": NewText.model_json_schema()}}}


@router.post(
    "/documents:bulk",
    status_code=202,
    response_model=BulkResult,
    openapi_extra={"requestBody": BULK_BODY},
)
async def upload_lines(collection_id: RowId, request: Request, container: ContainerDep) -> Response:
    await container.collections.get(collection_id)
    if not request.headers.get("content-type", "").startswith(NDJSON):
        raise InvalidValue(f"Send one JSON object a line, as {NDJSON}.")
    limit = max_json_bytes(container.settings.max_document_bytes)
    if "Idempotency-Key" not in request.headers:
        return accepted(*await _take_lines(container, collection_id, _lines(request, limit)))
    # The answer depends on the whole body, so it has to be known before the first line is taken.
    lines, num_bytes = list[bytes | None](), 0
    async for line in _lines(request, limit):
        num_bytes += len(line or b"")
        if num_bytes > limit:
            raise DocumentTooLarge(
                f"With an Idempotency-Key the lines may have {limit:,} bytes together; send fewer "
                "at a time, or no key: the same documents are taken once all the same."
            )
        lines.append(line)

    async def again() -> AsyncIterator[bytes | None]:
        for line in lines:
            yield line

    async def make() -> JSONResponse:
        return accepted(*await _take_lines(container, collection_id, again()))

    return await answer_once(request, container, digest_of(*lines), make)


@router.post("/urls", status_code=202)
async def upload_urls(
    collection_id: RowId, body: NewUrls, request: Request, container: ContainerDep
) -> Response:
    await container.collections.get(collection_id)
    for url in body.urls:
        container.fetcher.check_address(url)
    source = body.source or DEFAULT_SOURCE

    async def make() -> JSONResponse:
        new = NewJob("fetch", collection_id, {"source": source})
        row = await container.jobs.enqueue(new, list(dict.fromkeys(body.urls)))
        container.worker.submit()
        return accepted(view(row), row.id)

    return await answer_once(request, container, digest_of(source, *body.urls), make)


async def _lines(request: Request, limit: int) -> AsyncIterator[bytes | None]:
    """Lines as they arrive, blank ones too; None for one that is longer than `limit`."""
    held, is_long = bytearray(), False
    async for piece in request.stream():
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield None if is_long or len(held) + len(end) > limit else bytes(held) + end
            held, is_long = bytearray(), False
        is_long = is_long or len(held) + len(rest) > limit
        held = bytearray() if is_long else held + rest
    if held or is_long:
        yield None if is_long else bytes(held)


async def _take_lines(
    container: Container, collection_id: int, lines: AsyncIterator[bytes | None]
) -> tuple[BulkResult, str | None]:
    """Whatever ends the request early, what was taken is told, and where it ended."""
    job_id, results, number = new_job_id(), list[BulkLine](), 0
    try:
        async for line in lines:
            number += 1
            if len(results) == MAX_LINES and (line is None or line.strip()):
                results.append(_left_out(number, "too_many_lines", f"{MAX_LINES:,} are taken."))
            if len(results) > MAX_LINES or (line is not None and not line.strip()):
                continue
            results.append(await _take_line(container, collection_id, job_id, number, line))
    except (LarderError, HTTPException) as error:
        if not any(result.status != "refused" for result in results):
            raise
        problem = to_problem(error)
        is_read = isinstance(error, LarderError)  # else the request broke off behind this line
        last = number if is_read else number + 1
        results.append(_left_out(last, problem.code, problem.detail))
    finally:
        container.worker.submit()
    is_any = any(result.status != "refused" for result in results)
    return BulkResult(items=results, job_id=job_id if is_any else None), job_id if is_any else None


def _left_out(number: int, code: str, reason: str) -> BulkLine:
    detail = f"This line and all after it are left out. {reason}"
    return BulkLine(line=number, status="refused", code=code, detail=detail)


async def _take_line(
    container: Container, collection_id: int, job_id: str, number: int, line: bytes | None
) -> BulkLine:
    try:
        if line is None:
            limit = container.settings.max_document_bytes
            raise DocumentTooLarge(f"The line is longer than a document may be ({limit:,} bytes).")
        document_id, outcome = await take_text(container, collection_id, job_id, parse_text(line))
    except LarderError as error:
        if error.status >= 500:
            raise
        return BulkLine(line=number, status="refused", code=error.code, detail=str(error))
    return BulkLine(line=number, status=outcome, document_id=document_id)
