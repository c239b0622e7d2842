"""Deleting a document everywhere: rows, search indexes, every tier of the KV store, and beliefs.

Beliefs about sources that rested on it are computed anew by the part that is handed in.
"""

import asyncio

from app.db.removal import Removal
from app.decoder.types import PurgeReport
from app.ingest.protocols import Beliefs, Decoder, VectorIndexes
from app.ingest.types import DeleteReport


class Remover:
    """`gate` is the pipeline's: no batch of the document is half-way while it goes."""

    def __init__(
        self,
        removal: Removal,
        indexes: VectorIndexes,
        decoder: Decoder,
        gate: asyncio.Lock,
        beliefs: Beliefs | None = None,
    ) -> None:
        self._removal = removal
        self._indexes = indexes
        self._decoder = decoder
        self._gate = gate
        self._beliefs = beliefs
        self._running: set[asyncio.Task[DeleteReport]] = set()  # the loop itself holds tasks weakly

    async def delete(self, document_id: int) -> DeleteReport:
        """Raises `DocumentNotFound`. Runs to its end even when the caller goes away."""
        task = asyncio.create_task(self._delete(document_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def purge_pending(self) -> PurgeReport:
        """Make the KV store forget what was deleted."""
        purges = await self._removal.pending_purges()
        if not purges:
            return PurgeReport(0, 0)
        report = await self._decoder.purge([purge.token_ids for purge in purges])
        if report.complete:  # else the next delete or start tries again
            await self._removal.mark_purged([purge.id for purge in purges])
        return report

    async def finish_deletes(self) -> PurgeReport:
        """At start: make up for what a crash cut off."""
        await self._removal.scrub()
        return await self.purge_pending()

    async def _delete(self, document_id: int) -> DeleteReport:
        async with self._gate:
            deleted = await self._removal.delete(document_id)
            # Not in the loop: some indexes are built anew now and then.
            await asyncio.to_thread(self._indexes.remove, deleted.collection_id, deleted.chunk_ids)
            purged = await self.purge_pending()
        if deleted.observations and self._beliefs is not None:
            await self._beliefs.refit("a document was deleted")
        return DeleteReport(
            len(deleted.chunk_ids), purged.entries, purged.bytes, deleted.observations
        )
