"""`larder serve`: take the port, load everything, answer until told to stop."""

import asyncio
import errno
import logging
import socket

import httpx2
import uvicorn

from app.bootstrap import open_container
from app.cli import demo as demo_files
from app.cli.demo import are_taken_in, find_demos, take_in
from app.cli.http_server import HttpServer
from app.cli.output import print_error, print_note
from app.cli.remote import TIMEOUT, Client
from app.errors import LarderError, PortInUse
from app.log import set_up_logging
from app.settings import Settings, load_settings

# Answers that are being written are broken off after this, and stored as cancelled.
GRACE_SECONDS = 5

log = logging.getLogger(__name__)


def run_serve(host: str | None, port: int | None, *, demo: bool = False) -> None:
    settings = load_settings(host=host, port=port)
    set_up_logging(settings.log_level)
    # Before the model is loaded: a taken port should not cost a minute to find out.
    listener = listen(settings)
    with listener:
        asyncio.run(_serve(settings, listener, demo=demo))


async def _serve(settings: Settings, listener: socket.socket, *, demo: bool) -> None:
    # Here and not above: importing torch takes seconds, a taken port is to be told at once.
    from app.main import create_app

    url = settings.model_copy(update={"port": listener.getsockname()[1]}).url
    async with open_container(settings, print_note, url) as container:
        config = uvicorn.Config(
            create_app(container),
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        listening, ready = asyncio.Event(), asyncio.Event()
        server = HttpServer(config, listening.set if demo else ready.set)
        beside = [asyncio.create_task(_tell(url, ready))]
        if demo:
            beside.append(asyncio.create_task(_fill(settings, url, listening, ready)))
        try:
            await server.serve([listener])
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _tell(url: str, ready: asyncio.Event) -> None:
    await ready.wait()
    print_note(f"Larder is ready: {url}")


async def _fill(
    settings: Settings, url: str, listening: asyncio.Event, ready: asyncio.Event
) -> None:
    """Take in the demo documents. It is ready once questions find them; their KV is stored while
    people ask already."""
    await listening.wait()
    try:
        demos = find_demos(demo_files.REPOSITORY)
        if not await are_taken_in(settings, demos):
            async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as http:
                await take_in(Client(http, url), settings, demos, ready.set)
    except LarderError as error:
        print_error(f"the demo documents are not all in: {error}")
    except Exception:  # the server is there all the same
        log.exception("the demo documents are not all in")
    finally:
        ready.set()


def listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises `PortInUse` with what to do."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortInUse(_explain(settings, error)) from error
    return listener


def _explain(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {settings.port} on {settings.host} is taken by another program; choose another "
            "with --port or LARDER_PORT"
        )
    return f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
