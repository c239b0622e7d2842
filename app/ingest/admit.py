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
from app.ingest.idle_queue import IdleQueue
from kvstore.admission import UseCounter

log = logging.getLogger(__name__)

NUM_USES = 2
MAX_PENDING = 256  # chunks; a burst of new questions must not grow a backlog without end


class Admitter(IdleQueue[int]):
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
        super().__init__("admission", MAX_PENDING, decoder)
        self._targets = targets
        self._decoder = decoder
        self._uses = uses
        self._gate = gate
        self.stored = 0

    async def stop(self) -> None:
        await super().stop()
        await asyncio.to_thread(self._uses.save)

    def missed(self, passages: Sequence[Passage]) -> None:
        """A prompt needed these and they were not stored."""
        self.add([p.chunk_id for p in passages if self._uses.count(p.token_ids) >= NUM_USES])

    def failure(self, item: int) -> str:
        return f"chunk {item} could not be stored"

    async def work(self, item: int) -> None:
        """Read the chunk again first: it may have been deleted since it was used."""
        async with self._gate:
            rows = await self._targets.page(CacheScope("chunk", item), 0, 1)
            passages = [Passage(row.chunk_id, row.token_ids, row.primers) for row in rows]
            if not passages:
                return
            report = await self._decoder.precompute(passages, evict=True)
            if report.left:
                log.info("chunk %d was used twice and is not stored: %s", item, report.reason)
                return
            await self._targets.mark([item], is_cached=True)
            self.stored += report.stored
