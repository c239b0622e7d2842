"""The header Idempotency-Key: the same request twice is answered once."""

import hashlib
import json
from collections.abc import Awaitable, Callable

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.bootstrap import Container
from app.db.idempotency import Answer
from app.errors import InvalidValue

HEADER = "Idempotency-Key"
MAX_KEY_LEN = 255

Make = Callable[[], Awaitable[JSONResponse]]


def accepted(body: BaseModel, job_id: str | None) -> JSONResponse:
    """202, saying where the job is."""
    headers = {} if job_id is None else {"Location": f"/api/v1/jobs/{job_id}", "Retry-After": "1"}
    return JSONResponse(body.model_dump(mode="json"), 202, headers)


async def answer_once(request: Request, container: Container, digest: str, make: Make) -> Response:
    """`make`'s answer, or the one it gave to the same key and the same request before."""
    given = request.headers.get(HEADER)
    if given is None:
        return await make()
    if not 1 <= len(given) <= MAX_KEY_LEN or not given.isascii() or not given.isprintable():
        raise InvalidValue(f"{HEADER} must be 1 to {MAX_KEY_LEN} printable ASCII characters.")
    key = digest_of(request.method, request.url.path, given)
    known = await container.keys.begin(key, digest)
    if known is not None:
        headers = dict(known.headers) | {"Idempotent-Replayed": "true"}
        return JSONResponse(json.loads(known.body), known.status, headers)
    try:
        response = await make()
    except BaseException:
        await container.keys.drop(key)
        raise
    headers = {
        name: response.headers[name]
        for name in ("location", "retry-after", "etag")
        if name in response.headers
    }
    body = bytes(response.body).decode()
    await container.keys.finish(key, Answer(response.status_code, headers, body))
    return response


def digest_of(*parts: str | bytes | None) -> str:
    """Parts are kept apart, so that moving a letter from one to the next changes the digest."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part or b""
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()
