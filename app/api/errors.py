"""The one place where an error becomes an HTTP answer.

Own routes speak RFC 9457 problem objects, /v1 speaks OpenAI's error envelope. Messages of our own
errors are fit for users; of any other error only its request id leaves the process.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from app.api.wording import explain
from app.errors import LarderError, LineFull, StorageBusy
from reliability.errors import ReliabilityError
from retrieval.errors import RetrievalError

OPENAI_PREFIX = "/v1/"
PROBLEM_TYPE = "application/problem+json"

RETRY_SOON = {"Retry-After": "5"}  # seconds; about one short answer

# What the framework raises by number only.
_FRAMEWORK_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    code: str
    detail: str


def to_problem(error: Exception) -> Problem:
    """The table. Anything not in it is our fault: 500, without a word about the inside."""
    match error:
        case LarderError():
            return Problem(error.status, error.code, str(error))
        case RetrievalError() | ReliabilityError():
            return Problem(422, error.code, str(error))
        case RequestValidationError():
            return Problem(422, "invalid_request", explain(error.errors()))
        case HTTPException():
            code = _FRAMEWORK_CODES.get(error.status_code, "http_error")
            return Problem(error.status_code, code, str(error.detail))
        case _:
            return Problem(500, "internal_error", "Something broke here; the log has details.")


def problem_object(problem: Problem, request_id: str) -> dict[str, object]:
    return {
        "type": f"urn:larder:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }


def openai_error(problem: Problem) -> dict[str, object]:
    kind = "invalid_request_error" if problem.status < 500 else "server_error"
    return {"error": {"message": problem.detail, "type": kind, "param": None, "code": problem.code}}


def problem_response(
    problem: Problem, scope: Scope, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The problem in the dialect of the route that met it."""
    if scope["path"].startswith(OPENAI_PREFIX):
        # OpenAI's server answers 400 where a field is wrong; its clients expect that.
        status = 400 if problem.code == "invalid_request" else problem.status
        return JSONResponse(openai_error(problem), status, headers)
    body = problem_object(problem, request_id_of(scope))
    return JSONResponse(body, problem.status, headers, media_type=PROBLEM_TYPE)


def request_id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def install_error_handlers(app: FastAPI) -> None:
    for kind in (
        LarderError,
        RetrievalError,
        ReliabilityError,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, _answer_expected)
    app.add_exception_handler(Exception, _answer_unexpected)


async def _answer_expected(request: Request, error: Exception) -> JSONResponse:
    headers = error.headers if isinstance(error, HTTPException) else None
    if isinstance(error, LineFull | StorageBusy):
        headers = RETRY_SOON
    return problem_response(to_problem(error), request.scope, headers)


async def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error(
        "%s %s failed, request %s",
        request.method,
        request.url.path,
        request_id_of(request.scope),
        exc_info=error,
    )
    return problem_response(to_problem(error), request.scope)
