"""The built page: what is cached, what is not, and what a program gets instead."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from app.bootstrap import Container
from app.main import create_app

pytestmark = pytest.mark.anyio


@pytest.fixture
async def page(container: Container, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    static = tmp_path / "built"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>Larder</title>", encoding="utf-8")
    (static / "favicon.svg").write_text("<svg/>", encoding="utf-8")
    (static / "assets" / "index-4f2a.js").write_text("1", encoding="utf-8")
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    transport = httpx2.ASGITransport(create_app(container, static))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/index.html", "/admin", "/documents/3"])
async def test_the_page_is_never_cached(page: httpx2.AsyncClient, path: str) -> None:
    reply = await page.get(path)
    assert (reply.status_code, reply.text) == (200, "<title>Larder</title>")
    assert reply.headers["cache-control"] == "no-store"


async def test_hashed_files_are_cached_for_good(page: httpx2.AsyncClient) -> None:
    reply = await page.get("/assets/index-4f2a.js")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "javascript" in reply.headers["content-type"]
    assert (await page.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/api/v2/x", "/v1/nothing", "/assets/gone.js", "/api/v1/"])
async def test_programs_get_404_and_not_the_page(page: httpx2.AsyncClient, path: str) -> None:
    reply = await page.get(path)
    assert reply.status_code == 404
    assert "html" not in reply.headers["content-type"]


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/assets/%2e%2e/%2e%2e/secret"])
async def test_nothing_outside_the_folder_is_served(page: httpx2.AsyncClient, path: str) -> None:
    assert "secret" not in (await page.get(path)).text


async def test_a_missing_build_says_so(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/")
    assert reply.status_code == 503
    assert "has not been built" in reply.text
