"""A client of whatever works on the data directory: a running server, or this process.

Where nobody holds the directory, the application runs here behind a socket only this user can
open, for as long as the command takes.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import uvicorn
from starlette.types import ASGIApp

from app.bootstrap import Progress, open_container
from app.cli.http_server import PrivateHttpServer
from app.cli.remote import TIMEOUT, Client
from app.db.datadir import read_owner
from app.errors import DataDirInUse
from app.settings import Settings

HERE = "http://127.0.0.1"


@contextlib.asynccontextmanager
async def connect(settings: Settings, progress: Progress) -> AsyncIterator[Client]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            container = await stack.enter_async_context(open_container(settings, progress))
        except DataDirInUse:
            url = running_server(settings)
            if url is None:
                raise
            progress(f"Using the server at {url}")
            http = httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False)
            yield Client(await stack.enter_async_context(http), url)
            return
        # Here and not above: it brings torch, which a client of a running server does not need.
        from app.main import create_app

        http = await stack.enter_async_context(serve_privately(create_app(container)))
        yield Client(http, "this process")


def running_server(settings: Settings) -> str | None:
    """Where the holder of the data directory is reached; None where it is no server."""
    _, url = read_owner(settings.data_dir / "owner.json")
    return url


@contextlib.asynccontextmanager
async def serve_privately(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    with tempfile.TemporaryDirectory(prefix="larder-") as folder:
        socket = str(Path(folder) / "socket")
        config = uvicorn.Config(app, uds=socket, log_config=None, lifespan="off", access_log=False)
        ready = asyncio.Event()
        server = PrivateHttpServer(config, ready.set)
        running = asyncio.create_task(server.serve())
        running.add_done_callback(lambda _: ready.set())  # a failure to start ends the waiting
        try:
            await ready.wait()
            transport = httpx2.AsyncHTTPTransport(uds=socket)
            async with httpx2.AsyncClient(
                base_url=HERE, transport=transport, timeout=TIMEOUT
            ) as http:
                yield http
        finally:
            server.should_exit = True
            await running
