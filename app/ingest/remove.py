"""Deleting documents everywhere: rows, words, vectors, what others hold, every KV tier.

From the request on nobody finds them; a job takes them away step by step and can be resumed.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from app.db.job_rows import JobRow, JobStep
from app.db.jobs import Jobs
from app.db.removal import Removal
from app.decoder.types import PurgeReport
from app.errors import DocumentNotFound
from app.ingest.protocols import Beliefs, Decoder, VectorIndexes
from app.ingest.types import DeleteReport
from app.ingest.worker import JobWorker

log = logging.getLogger(__name__)

PURGE_AGAIN_S = 30.0  # where a shared tier could not be asked

Counts = dict[str, dict[str, int]]


class Remover:
    """Handles jobs of the kind `delete`. `gate` is the pipeline's: no batch of a document is
    half-way while it goes."""

    kind = "delete"

    def __init__(
        self,
        removal: Removal,
        jobs: Jobs,
        indexes: VectorIndexes,
        decoder: Decoder,
        gate: asyncio.Lock,
        beliefs: Beliefs | None = None,
    ) -> None:
        self._removal = removal
        self._jobs = jobs
        self._indexes = indexes
        self._decoder = decoder
        self._gate = gate
        self._beliefs = beliefs

    async def step(self, job: JobRow) -> JobStep:
        """One document; after the last one, the files that held their text, and the KV store."""
        counts = _counts(job)
        items, _ = await self._jobs.items(job.id, 1, state="queued")
        if not items:
            return await self._finish(job, counts)
        document_id = items[0].document_id
        assert document_id is not None  # a deletion's items are documents
        async with self._gate:
            await self._delete(document_id, counts)
        await self._jobs.settle_item(job.id, items[0].id)
        return JobStep(stage="rows", result=counts)

    async def give_up(self, job: JobRow, reason: str) -> bool:
        """Never: what was deleted has to go. The job stays open and is tried again."""
        log.error("deletion %s did not work so far and goes on: %s", job.id, reason)
        return True

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

    async def _delete(self, document_id: int, counts: Counts) -> None:
        try:
            deleted = await self._removal.delete(document_id)
        except DocumentNotFound:  # an earlier attempt came so far
            return
        # Not in the loop: some indexes are built anew now and then.
        num_vectors = await asyncio.to_thread(
            self._indexes.remove, deleted.collection_id, deleted.chunk_ids
        )
        _add(counts, "rows", {"documents": 1, "chunks": len(deleted.chunk_ids)})
        _add(counts, "words", {"chunks": deleted.words})
        _add(counts, "vectors", {"chunks": num_vectors})
        _add(counts, "runs", {"redacted": deleted.runs})
        _add(counts, "observations", {"rows": deleted.observations})

    async def _finish(self, job: JobRow, counts: Counts) -> JobStep:
        await self._removal.sweep()
        # After a crash the count may be missing; once too often does no harm.
        if self._beliefs is not None and (job.attempts or _num(counts, "observations", "rows")):
            await self._beliefs.refit("a document was deleted")
        async with self._gate:
            purged = await self.purge_pending()
        _add(counts, "kv", {"entries": purged.entries, "bytes": purged.bytes})
        for tier in purged.tiers:
            gone = {"entries": tier.entries, "bytes": tier.num_bytes}
            missed = {} if tier.failed is None else {"missed": 1}  # tried again later
            _add(counts, f"kv_{tier.tier}", gone | missed)
        if not purged.complete:
            return JobStep(stage="kv", result=counts, retry_in_s=PURGE_AGAIN_S)
        return JobStep(is_done=True, stage="kv", result=counts)


class Deletions:
    """Requests for deletion, carried out here and now or left to the worker."""

    def __init__(self, removal: Removal, jobs: Jobs, worker: JobWorker) -> None:
        self._removal = removal
        self._jobs = jobs
        self._worker = worker
        self._running: set[asyncio.Task[JobRow]] = set()  # the loop itself holds tasks weakly

    async def request(self, document_ids: Sequence[int], reason: str = "asked") -> JobRow:
        """Nobody finds them any more; the worker takes them away. Raises `DocumentNotFound`."""
        job_id = await self._removal.request(document_ids, reason)
        self._worker.submit()
        return await self._jobs.get(job_id)

    async def delete(self, document_id: int) -> DeleteReport:
        """Raises `DocumentNotFound`. Runs to its end even when the caller goes away."""
        task = asyncio.create_task(self._carry_out(document_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        job = await asyncio.shield(task)
        counts = _counts(job)
        return DeleteReport(
            chunks=_num(counts, "rows", "chunks"),
            kv_entries=_num(counts, "kv", "entries"),
            kv_bytes=_num(counts, "kv", "bytes"),
            job_id=job.id,
            observations=_num(counts, "observations", "rows"),
            is_complete=not job.is_open,
        )

    async def _carry_out(self, document_id: int) -> JobRow:
        job_id = await self._removal.request([document_id], "asked")
        pause = 0.005
        while not await self._worker.run_now(job_id):  # the worker was quicker, or it waits
            job = await self._jobs.get(job_id)
            if not job.is_open or job.stage == "kv":
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.25)
        self._worker.submit()  # what waits for a tier goes on later
        return await self._jobs.get(job_id)


def _counts(job: JobRow) -> Counts:
    """The report as far as it goes, to be added to."""
    found: Counts = {}
    for name, counts in (job.result or {}).items():
        if isinstance(counts, Mapping):
            found[name] = {str(key): int(value) for key, value in counts.items()}
    return found


def _add(counts: Counts, name: str, more: Mapping[str, int]) -> None:
    mine = counts.setdefault(name, {})
    for key, value in more.items():
        mine[key] = mine.get(key, 0) + value


def _num(counts: Counts, name: str, key: str) -> int:
    return counts.get(name, {}).get(key, 0)
