"""What every request passes: request id, host and origin checks, security headers.

Plain ASGI, so that streams are never buffered. Knows no route.
"""

import ipaddress
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Problem, problem_response

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Routes that bring documents, or say much about them.
UPLOAD_PATH_ENDS = ("/documents", "/documents:bulk", "/sync:plan", "/sync:remove")
UPLOAD_PATH_PART = "/documents/by-external-id/"
REQUEST_ID_HEADER = "X-Request-ID"


class RequestContext:
    """Gives each request an id and each response the id and the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class HeadAsGet:
    """Answers HEAD as GET without the body; a stream is ended once its headers are out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_done = False

        async def send_head(message: Message) -> None:
            nonlocal is_done
            if message["type"] != "http.response.body":
                await send(message)
            elif not is_done:
                is_done = True
                await send({"type": "http.response.body", "body": b""})
                if message.get("more_body"):
                    running.cancel()

        with anyio.CancelScope() as running:
            await self._app({**scope, "method": "GET"}, receive, send_head)


class HostAndOriginCheck:
    """Refuses names this server does not answer to, and writes from other sites' pages.

    Without the first a page elsewhere could resolve its own name to this machine and read
    answers (DNS rebinding; an address in place of a name cannot be resolved to anything else);
    without the second it could post to us. Programs send no Origin.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = {host_name(name) for name in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._refusal(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(problem, scope)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_allowed(host):
            return Problem(
                400,
                "host_not_allowed",
                f"This server does not answer to the name {host!r}. Add it to the setting "
                "allowed_hosts if it should.",
            )
        origin = headers.get("origin")
        if scope["method"] in SAFE_METHODS or origin is None:
            return None
        if urlsplit(origin).netloc.lower() != host.lower():
            return Problem(
                403, "origin_not_allowed", f"A page of {origin} may not send requests here."
            )
        return None

    def _is_allowed(self, host: str) -> bool:
        name = host_name(host)
        return "*" in self._allowed or name in self._allowed or is_address(name)


class BodyLimit:
    """Cuts off a request body while it arrives: nothing above the limit is read or kept."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        is_upload = path.endswith(UPLOAD_PATH_ENDS) or UPLOAD_PATH_PART in path
        limit = self._max_upload_bytes if is_upload else self._max_bytes
        stated = Headers(scope=scope).get("content-length", "")
        received = int(stated) if stated.isdecimal() and int(stated) > limit else 0

        async def receive_within_limit() -> Message:
            nonlocal received
            if received <= limit:
                message = await receive()
                received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"The request has more than {limit:,} bytes.")
            return message

        await self._app(scope, receive_within_limit, send)


def host_name(host: str) -> str:
    """The Host header without its port: `[::1]:8000` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
