"""Keep what passages looked like in prompts that were computed in full (Cache-Craft's variants).

Capturing computes such a prompt once more, so it waits until no question does; and as a document
may have gone since its passages were found, they are looked up again first.
"""

import asyncio
import logging

from app.db.cache_targets import CacheTargets
from app.decoder.service import DecoderService
from app.decoder.types import DecodeRequest

log = logging.getLogger(__name__)

MAX_PENDING = 16  # prompts; of a burst of them the first teach enough
LOOK_AGAIN_S = 0.5  # while questions are being answered


class Learner:
    """Start it on the event loop that serves; `computed` may be called from any thread.

    `gate` is the ingest pipeline's: no document goes while a passage of it is stored.
    """

    def __init__(self, targets: CacheTargets, decoder: DecoderService, gate: asyncio.Lock) -> None:
        self._targets = targets
        self._decoder = decoder
        self._gate = gate
        self._due: asyncio.Queue[DecodeRequest] = asyncio.Queue(MAX_PENDING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.stored = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="learning")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_idle(self) -> None:
        """Until everything that is due has been looked at."""
        await self._due.join()

    def computed(self, request: DecodeRequest) -> None:
        """The prompt of this request was computed in full."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._enqueue, request)

    def _enqueue(self, request: DecodeRequest) -> None:
        if not self._due.full():
            self._due.put_nowait(request)

    async def _run(self) -> None:
        while True:
            request = await self._due.get()
            try:
                while not self._decoder.is_idle:
                    await asyncio.sleep(LOOK_AGAIN_S)
                await self._capture(request)
            except Exception:
                log.exception("a prompt could not be learnt from")
            finally:
                self._due.task_done()

    async def _capture(self, request: DecodeRequest) -> None:
        """All or nothing: each passage is kept as it looked behind the others."""
        wanted = {passage.chunk_id: passage.token_ids for passage in request.passages}
        async with self._gate:
            if await self._targets.token_ids(list(wanted)) == wanted:
                self.stored += await self._decoder.capture(request)
