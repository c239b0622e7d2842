"""What every response carries, and which requests never reach a route."""

import dataclasses

import httpx2
import pytest

from app.bootstrap import Container
from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.anyio


async def test_every_response_carries_the_headers(client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/api/v1/nothing", "/"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy == (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "frame-ancestors 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert len(headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "10.0.0.7"],
)
async def test_own_names_and_addresses_are_answered(client: httpx2.AsyncClient, host: str) -> None:
    assert (await client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", ""],
)
async def test_other_names_are_refused(client: httpx2.AsyncClient, host: str) -> None:
    reply = await client.get("/api/v1/collections", headers={"host": host})
    assert (reply.status_code, reply.json()["code"]) == (400, "host_not_allowed")


async def test_a_page_elsewhere_cannot_write(client: httpx2.AsyncClient) -> None:
    for origin in ("https://evil.example", "http://localhost:9999", "null"):
        reply = await client.post(
            "/api/v1/collections", json={"name": "x"}, headers={"origin": origin}
        )
        assert (reply.status_code, reply.json()["code"]) == (403, "origin_not_allowed"), origin
    assert (await client.get("/api/v1/collections")).json() == {"items": []}


async def test_the_own_page_can_write(client: httpx2.AsyncClient) -> None:
    headers = {"origin": "http://localhost"}
    reply = await client.post("/api/v1/collections", json={"name": "x"}, headers=headers)
    assert reply.status_code == 201


async def test_reading_from_elsewhere_gets_no_permission(client: httpx2.AsyncClient) -> None:
    """The browser itself keeps the answer from that page: no header allows it."""
    reply = await client.get("/api/v1/collections", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers


async def test_further_names_are_a_setting(container: Container, settings: Settings) -> None:
    wider = settings.model_copy(update={"allowed_hosts": ("larder.lan",)})
    app = create_app(_with_settings(container, wider))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://larder.lan:8000"
    ) as client:
        assert (await client.get("/healthz")).status_code == 200


def _with_settings(container: Container, settings: Settings) -> Container:
    return dataclasses.replace(container, settings=settings)


async def test_errors_under_v1_speak_openai(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/v1/models", headers={"host": "evil.example"})
    assert reply.json()["error"]["code"] == "host_not_allowed"
