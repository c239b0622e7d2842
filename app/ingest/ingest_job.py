"""The job that takes documents to `ready`: parses some while a batch of others is embedded.

Each document's state is its checkpoint, kept with the document itself; knows no HTTP and no SQL.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from app.db.documents import Documents
from app.db.ingest_work import IngestWork, Work
from app.db.job_rows import RANK_LATER, RANK_NORMAL, JobRow, JobStep
from app.errors import StorageBusy, StorageFull
from app.ingest.pipeline import IngestPipeline
from app.ingest.types import IngestConfig

PARSE_S = 1.0  # where there is nothing to embed meanwhile

log = logging.getLogger(__name__)


class IngestHandler:
    """Handles jobs of the kind `ingest`."""

    kind = "ingest"

    def __init__(
        self,
        pipeline: IngestPipeline,
        work: IngestWork,
        documents: Documents,
        config: IngestConfig,
    ) -> None:
        self._pipeline = pipeline
        self._work = work
        self._documents = documents
        self._parse_ahead = config.parse_ahead

    async def step(self, job: JobRow) -> JobStep:
        """A batch. Everything is made findable first; KV comes when nothing else waits."""
        work = await self._work.of(job.id, self._parse_ahead)
        if job.attempts and (suspect := _suspect(work)) is not None:
            await self._pipeline.step(suspect)  # alone, so that it is known which one it is
            return JobStep(stage="one by one")
        if work.received or work.chunked:
            await self._take_in(work)
            stage = "embed" if work.chunked else "parse"
            return JobStep(stage=stage, rank=None if job.stage != "kv" else RANK_NORMAL)
        if not work.indexed:
            await self._work.settle_forgotten(job.id)
            return JobStep(is_done=True)
        if job.stage != "kv":
            return JobStep(stage="kv", rank=RANK_LATER)
        await self._pipeline.step(work.indexed[0])
        return JobStep()

    async def give_up(self, job: JobRow, reason: str) -> bool:
        """The document that is always in hand when the process ends is to blame. One that can be
        found already only goes without KV."""
        work = await self._work.of(job.id, 1)
        suspect = _suspect(work)
        if suspect is not None:
            log.error("document %d is given up: %s", suspect, reason)
            if suspect in work.indexed:
                await self._documents.mark_ready(suspect)
            else:
                await self._documents.mark_failed(suspect, reason)
        return True

    async def _take_in(self, work: Work) -> None:
        """Embed a batch in one thread while the parser's process reads on."""
        embedding = asyncio.create_task(self._embed(work.chunked))
        ends = time.monotonic() + (0.0 if work.chunked else PARSE_S)
        try:
            for document_id in work.received:
                await self._pipeline.step(document_id)
                if embedding.done() and time.monotonic() >= ends:
                    break
        finally:
            await embedding

    async def _embed(self, document_ids: Sequence[int]) -> None:
        if not document_ids:
            return
        try:
            await self._pipeline.embed(document_ids)
        except (StorageBusy, StorageFull):
            raise
        except Exception:
            log.exception("a batch of %d documents failed; one by one now", len(document_ids))
            for document_id in document_ids:
                await self._pipeline.step(document_id)


def _suspect(work: Work) -> int | None:
    return next((ids[0] for ids in (work.chunked, work.received, work.indexed) if ids), None)
