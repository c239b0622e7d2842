"""The background task that takes accepted documents to `ready`, one batch at a time.

The database is the queue: whatever is pending there is worked on, also after a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from app.db.documents import Documents
from app.db.rows import DocumentRow
from app.ingest.pipeline import IngestPipeline

RETRY_S = 30.0  # after a full disk, or a database that does not answer
GRACE_S = 10.0  # for the batch in hand when stopping; what is cut off is repeated at the next start

log = logging.getLogger(__name__)

OnProgress = Callable[[DocumentRow], None]


class IngestWorker:
    """One per process: start it, wake it after each accepted document, stop it at the end."""

    def __init__(
        self,
        pipeline: IngestPipeline,
        documents: Documents,
        on_progress: OnProgress | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self._pipeline = pipeline
        self._documents = documents
        self._on_progress = on_progress
        self._retry_s = retry_s
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ingest worker")

    def submit(self) -> None:
        """There is something new to do."""
        self._idle.clear()
        self._wake.set()

    async def wait_idle(self) -> None:
        """Until nothing is pending."""
        await self._idle.wait()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Finish the batch in hand, or cut it off after `grace_s`."""
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=grace_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                is_busy = await self._work()
            except Exception:
                log.exception("ingestion stopped; it goes on in %.0f seconds", self._retry_s)
                await self._sleep(self._retry_s)
                continue
            if not is_busy:
                await self._sleep(None)

    async def _work(self) -> bool:
        """One batch; False where nothing is pending."""
        document_id = await self._documents.next_pending()
        if document_id is None:
            if not self._wake.is_set():
                self._idle.set()
            return False
        self._idle.clear()
        row = await self._pipeline.advance(document_id)
        if row is not None and self._on_progress is not None:
            self._on_progress(row)
        return True

    async def _sleep(self, seconds: float | None) -> None:
        """Until there is something new to do, or that time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
