"""Keep what passages looked like in prompts that were computed in full (Cache-Craft's variants).

Capturing computes such a prompt once more, so it waits until no question does; and as a document
may have gone since its passages were found, they are looked up again first.
"""

import asyncio

from app.db.cache_targets import CacheTargets
from app.decoder.service import DecoderService
from app.decoder.types import DecodeRequest
from app.ingest.idle_queue import IdleQueue

MAX_PENDING = 16  # prompts; of a burst of them the first teach enough


class Learner(IdleQueue[DecodeRequest]):
    """Start it on the event loop that serves; `computed` may be called from any thread.

    `gate` is the ingest pipeline's: no document goes while a passage of it is stored.
    """

    def __init__(self, targets: CacheTargets, decoder: DecoderService, gate: asyncio.Lock) -> None:
        super().__init__("learning", MAX_PENDING, decoder)
        self._targets = targets
        self._decoder = decoder
        self._gate = gate
        self.stored = 0

    def computed(self, request: DecodeRequest) -> None:
        """The prompt of this request was computed in full."""
        self.add([request])

    def failure(self, item: DecodeRequest) -> str:  # noqa: ARG002
        return "a prompt could not be learnt from"

    async def work(self, item: DecodeRequest) -> None:
        """All or nothing: each passage is kept as it looked behind the others."""
        wanted = {passage.chunk_id: passage.token_ids for passage in item.passages}
        async with self._gate:
            if await self._targets.token_ids(list(wanted)) == wanted:
                self.stored += await self._decoder.capture(item)
