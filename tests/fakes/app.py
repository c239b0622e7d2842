"""A whole application over a real database, with a scripted decoder in place of a model."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest
import uvicorn

from app import bootstrap
from app.bootstrap import Models, Progress, Storage, open_container
from app.cli.http_server import PrivateHttpServer
from app.cli.serve import listen
from app.db.datadir import DataDir
from app.decoder.service import DecoderService
from app.main import create_app
from app.settings import Settings, load_settings
from tests.fakes.decoder import FakeDecoder
from tests.fakes.embedder import WordEmbedder
from tests.support.coverage_threads import LOOP_THREAD


def make_settings(data_dir: Path, **values: object) -> Settings:
    return load_settings(data_dir=data_dir, **values)


def use_fakes(monkeypatch: pytest.MonkeyPatch, decoder: FakeDecoder) -> None:
    """`open_container` loads no model from here on."""

    @asynccontextmanager
    async def open_fakes(
        settings: Settings, storage: Storage, data_dir: DataDir, progress: Progress
    ) -> AsyncIterator[Models]:
        progress("loading fakes")
        yield Models(cast(DecoderService, decoder), WordEmbedder())

    monkeypatch.setattr(bootstrap, "open_models", open_fakes)


@contextmanager
def live_server(settings: Settings) -> Iterator[str]:
    """The application behind a real uvicorn on a free port, in a thread of its own: its URL."""
    listener = listen(settings.model_copy(update={"port": 0}))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready = threading.Event()
    servers: list[PrivateHttpServer] = []

    async def run() -> None:
        async with open_container(settings, lambda _: None, url) as container:
            config = uvicorn.Config(create_app(container), log_config=None, lifespan="off")
            server = PrivateHttpServer(config, ready.set)
            servers.append(server)
            await server.serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()), name=LOOP_THREAD, daemon=True)
    thread.start()
    try:
        assert ready.wait(300)
        yield url
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(300)
        listener.close()
