"""The application as a process that takes in one large job and may be killed at any moment.

A real database, real parser in its child process, real chunking; embedder and decoder are fakes.
`acknowledged` lists the names of documents that were accepted, `steps` grows by a byte with each
step of the job, and `done` is made at the end.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from app.bootstrap import Container, Models, Progress, Storage, open_container
from app.db.datadir import DataDir
from app.decoder.service import DecoderService
from app.errors import CollectionNotFound
from app.settings import Settings
from tests.fakes.app import make_settings
from tests.fakes.decoder import FakeDecoder
from tests.fakes.embedder import WordEmbedder

NUM_DOCUMENTS = 200
JOB_ID = "bulk"


def text_of(number: int) -> str:
    lines = [f"Entry {line} of volume {number} names house {line * number}." for line in range(4)]
    return f"# Volume {number}\n\n" + "\n\n".join(lines) + "\n"


@asynccontextmanager
async def load_fakes(
    settings: Settings, storage: Storage, data_dir: DataDir, progress: Progress
) -> AsyncIterator[Models]:
    yield Models(cast(DecoderService, FakeDecoder()), WordEmbedder())


def run_child(root: str, url: str, vector_index: str) -> None:
    """Accept everything that was not yet, work until nothing is open, then make `done`."""
    asyncio.run(_run(Path(root), url, vector_index))


async def _run(root: Path, url: str, vector_index: str) -> None:
    settings = make_settings(root / "data", database_url=url, vector_index=vector_index)
    async with open_container(settings, lambda _: None, load=load_fakes) as container:
        with (root / "steps").open("ab", buffering=0) as steps:
            container.worker._on_step = lambda _: steps.write(b".")
            await _accept_all(container, root / "acknowledged")
            await container.worker.wait_idle()
    (root / "done").touch()


async def _accept_all(container: Container, acknowledged: Path) -> None:
    try:
        collection = await container.collections.find("c")
    except CollectionNotFound:
        collection = await container.collections.create("c")
    acknowledged.touch()
    known = set(acknowledged.read_text(encoding="utf-8").split())
    with acknowledged.open("a", encoding="utf-8") as file:
        for number in range(NUM_DOCUMENTS):
            name = f"{number}.md"
            if name in known:
                continue
            body = text_of(number).encode()
            await container.ingest.accept(collection.id, "s", name, body, None, JOB_ID)
            container.worker.submit()
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
