"""The application as a process that warms all stored KV and may be killed at any moment.

Real SQLite, real tiers; embedder and decoder are fakes. `steps` grows by a byte with each batch of
chunks that is computed, and `done` is made at the end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from app.bootstrap import Models, Progress, Storage, open_container
from app.db.datadir import DataDir
from app.db.entries import EntryRows
from app.db.job_rows import OPEN
from app.db.rows import CacheScope
from app.decoder.service import DecoderService
from app.decoder.types import Passage, PrecomputeReport
from app.settings import Settings
from tests.fakes.app import make_settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.storing_decoder import StoringDecoder

BATCH_S = 0.03  # a batch takes so long at least, so that a kill finds one in hand


class SlowDecoder(StoringDecoder):
    steps: Path

    async def precompute(
        self, passages: Sequence[Passage], *, evict: bool = False
    ) -> PrecomputeReport:
        report = await super().precompute(passages, evict=evict)
        with self.steps.open("ab", buffering=0) as file:
            file.write(b".")
        await asyncio.to_thread(time.sleep, BATCH_S)
        return report


@asynccontextmanager
async def load_slow(
    settings: Settings, storage: Storage, data_dir: DataDir, progress: Progress
) -> AsyncIterator[Models]:
    index = EntryRows(settings.resolved_database_url)
    decoder = SlowDecoder(settings.data_dir / "kv", index)
    decoder.steps = settings.data_dir.parent / "steps"
    yield Models(cast(DecoderService, decoder), WordEmbedder())
    index.close()


def run_child(root: str) -> None:
    asyncio.run(_run(Path(root)))


async def _run(root: Path) -> None:
    async with open_container(make_settings(root / "data"), lambda _: None, load=load_slow) as app:
        jobs, _ = await app.jobs.list(10, states=OPEN)
        if not any(job.kind == "cache" for job in jobs):
            await app.cache.start("warm", CacheScope("tenant"))
            app.worker.submit()
        await app.worker.wait_idle()
    (root / "done").touch()
