"""`larder serve`: take the port, load everything, answer until told to stop."""

import asyncio
import errno
import logging
import socket

import uvicorn

from app.bootstrap import open_container
from app.cli.http_server import HttpServer
from app.cli.output import print_note
from app.errors import PortInUse
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
        if demo:
            # In this process: starting Python a second time would cost a restart three seconds.
            from app.cli.prepare import run_prepare

            run_prepare()
        asyncio.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
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
        server = HttpServer(config, lambda: print_note(f"Larder is ready: {url}"))
        await server.serve([listener])


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
