"""Store the KV of passages that questions keep needing, after the answers that needed it.

Counts uses of what was not stored; at the second use the passage is computed, while no question
waits, and less valuable entries make room.
"""

import asyncio
import logging
from collections.abc import Sequence

from app.db.cache_targets import CacheTargets
from app.db.rows import CacheScope
from app.decoder.service import DecoderService
from app.decoder.types import Passage
from kvstore.admission import UseCounter

log = logging.getLogger(__name__)

NUM_USES = 2
MAX_PENDING = 256  # chunks; a burst of new questions must not grow a backlog without end
LOOK_AGAIN_S = 0.5  # while questions are being answered


class Admitter:
    """Start it on the event loop that serves; `missed` may be called from any thread.

    `gate` is the ingest pipeline's: no document goes while a passage of it is stored.
    """

    def __init__(
        self,
        targets: CacheTargets,
        decoder: DecoderService,
        uses: UseCounter,
        gate: asyncio.Lock,
    ) -> None:
        self._targets = targets
        self._decoder = decoder
        self._uses = uses
        self._gate = gate
        self._due: asyncio.Queue[int] = asyncio.Queue(MAX_PENDING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.stored = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="admission")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._uses.save)

    async def wait_idle(self) -> None:
        """Until everything that is due has been looked at."""
        await self._due.join()

    def missed(self, passages: Sequence[Passage]) -> None:
        """A prompt needed these and they were not stored."""
        due = [p.chunk_id for p in passages if self._uses.count(p.token_ids) >= NUM_USES]
        if due and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._enqueue, due)

    def _enqueue(self, chunk_ids: Sequence[int]) -> None:
        for chunk_id in chunk_ids:
            if not self._due.full():
                self._due.put_nowait(chunk_id)

    async def _run(self) -> None:
        while True:
            chunk_id = await self._due.get()
            try:
                while not self._decoder.is_idle:
                    await asyncio.sleep(LOOK_AGAIN_S)
                await self._store(chunk_id)
            except Exception:
                log.exception("chunk %d could not be stored", chunk_id)
            finally:
                self._due.task_done()

    async def _store(self, chunk_id: int) -> None:
        """Read the chunk again first: it may have been deleted since it was used."""
        async with self._gate:
            rows = await self._targets.page(CacheScope("chunk", chunk_id), 0, 1)
            passages = [Passage(row.chunk_id, row.token_ids, row.primers) for row in rows]
            if not passages:
                return
            report = await self._decoder.precompute(passages, evict=True)
            if report.left:
                log.info("chunk %d was used twice and is not stored: %s", chunk_id, report.reason)
                return
            await self._targets.mark([chunk_id], is_cached=True)
            self.stored += report.stored
