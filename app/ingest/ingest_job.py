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
from app.ingest.pipeline import IngestPipeline
from app.ingest.types import IngestConfig

ALONE_UNTIL = "alone_until"  # in the job's result: a document's id
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
        """A batch. Everything is made findable first; KV comes when nothing else waits.

        After an attempt that raised or ended the process, what was in hand then goes alone, all of
        it: after the first success the next batch would only hold the guilty one again.
        """
        work = await self._work.of(job.id, self._parse_ahead)
        suspect = _suspect(work, _alone_until(job))
        if suspect is not None:
            await self._pipeline.step(suspect)
            return JobStep(stage="one by one")
        hidden = (*work.received, *work.chunked)
        if job.attempts and len(hidden) > 1:
            return JobStep(stage="one by one", result={ALONE_UNTIL: max(hidden)})
        result: dict[str, object] | None = {} if _alone_until(job) else None  # they are all through
        if hidden:
            await self._take_in(work)
            stage = "embed" if work.chunked else "parse"
            return JobStep(
                stage=stage, result=result, rank=None if job.stage != "kv" else RANK_NORMAL
            )
        if not work.indexed:
            await self._work.settle_forgotten(job.id)
            return JobStep(is_done=True, result=result)
        if job.stage != "kv":
            return JobStep(stage="kv", result=result, rank=RANK_LATER)
        await self._pipeline.step(work.indexed[0])
        return JobStep()

    async def give_up(self, job: JobRow, reason: str) -> bool:
        """The document that is always in hand when something goes wrong is to blame. One that can
        be found already only goes without KV."""
        work = await self._work.of(job.id, self._parse_ahead)
        suspect = _suspect(work, _alone_until(job)) or _first(work)
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
        if document_ids:
            await self._pipeline.embed(document_ids)


def _alone_until(job: JobRow) -> int:
    """Documents up to this id go alone; 0 where none does."""
    value = (job.result or {}).get(ALONE_UNTIL, 0)
    return value if isinstance(value, int) else 0


def _suspect(work: Work, alone_until: int) -> int | None:
    """The next one that goes alone."""
    hidden = (*work.chunked, *work.received)
    return next((number for number in hidden if number <= alone_until), None)


def _first(work: Work) -> int | None:
    return next(iter((*work.chunked, *work.received, *work.indexed)), None)
