"""The HTTP interface as calls: what every command of the command line works through.

The same calls reach a running server or, where none holds the data directory, an application in
this process, so a command cannot behave differently in the two cases.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import httpx2

from app.errors import LarderError

JsonObject = dict[str, object]

# An answer may queue behind others for minutes; heartbeats come every 15 s.
TIMEOUT = httpx2.Timeout(60.0, connect=5.0)


class ServerError(LarderError):
    """What the server said is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    def __init__(self, http: httpx2.AsyncClient, where: str) -> None:
        self._http = http
        self.where = where  # for messages: a URL, or "this process"

    async def get(self, path: str, **params: str | int) -> JsonObject:
        return _body(await self._send("GET", path, params=params))

    async def readiness(self) -> JsonObject:
        """The answer of /readyz, which is no error where something is not ready."""
        return _body(await self._request("GET", "/readyz"))

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        return _body(await self._send("POST", path, json=body))

    async def delete(self, path: str) -> JsonObject:
        return _body(await self._send("DELETE", path))

    async def upload(
        self, collection_id: int, fields: Mapping[str, str], files: Sequence[tuple[str, Path]]
    ) -> list[JsonObject]:
        """Documents, (name, file) each, as one request: what became of each, in order. One that was
        refused has no `id`, but a `code` and a `detail`."""
        with contextlib.ExitStack() as stack:
            parts = [("file", (name, stack.enter_context(path.open("rb")))) for name, path in files]
            reply = await self._send(
                "POST",
                f"/api/v1/collections/{collection_id}/documents",
                files=parts,
                data=dict(fields),
            )
        return items(_body(reply))

    async def put(self, path: str, content: bytes, **params: str) -> JsonObject:
        return _body(await self._send("PUT", path, content=content, params=params))

    async def events(self, body: JsonObject) -> AsyncIterator[tuple[str, JsonObject]]:
        """Ask a question: (event name, data) as they come. An `error` event is raised."""
        try:
            async with self._http.stream("POST", "/api/v1/runs", json=body) as response:
                if response.is_error:
                    await response.aread()
                    _raise(response)
                async for event in httpx2.EventSource(response):
                    data = event.json()
                    if not isinstance(data, dict):
                        raise ServerError("bad_reply", f"{self.where} sent an unknown event.")
                    if event.event == "error":
                        raise ServerError(str(data["code"]), str(data["detail"]))
                    yield event.event, data
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    async def _send(self, method: str, path: str, **options: object) -> httpx2.Response:
        response = await self._request(method, path, **options)
        if response.is_error:
            _raise(response)
        return response

    async def _request(self, method: str, path: str, **options: object) -> httpx2.Response:
        try:
            return await self._http.request(method, path, **options)  # type: ignore[arg-type]
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx2.TransportError) -> ServerError:
        reason = str(error) or type(error).__name__
        return ServerError("unreachable", f"Larder at {self.where} does not answer: {reason}")


def items(body: JsonObject) -> list[JsonObject]:
    value = body["items"]
    return value if isinstance(value, list) else []


def _body(response: httpx2.Response) -> JsonObject:
    value = response.json()
    return value if isinstance(value, dict) else {}


def _raise(response: httpx2.Response) -> NoReturn:
    try:
        problem = response.json()
        raise ServerError(str(problem["code"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        message = f"the server answered {response.status_code} without saying why"
        raise ServerError("bad_reply", message) from None
