"""The job that fetches a list of addresses and hands what comes to an ingest job."""

from app.db.job_rows import JobRow, JobStep, intake_of
from app.db.jobs import Jobs
from app.errors import DocumentEmpty, DocumentTooLarge, FetchRefused
from app.ingest.fetch import Fetcher
from app.ingest.pipeline import IngestPipeline


class FetchHandler:
    """Handles jobs of the kind `fetch`. An address is the external id of its document, so the same
    list again replaces what has changed."""

    kind = "fetch"

    def __init__(self, fetcher: Fetcher, pipeline: IngestPipeline, jobs: Jobs) -> None:
        self._fetcher = fetcher
        self._pipeline = pipeline
        self._jobs = jobs

    async def step(self, job: JobRow) -> JobStep:
        """One address."""
        items, _ = await self._jobs.items(job.id, 1, state="queued")
        if not items or job.collection_id is None:
            return JobStep(is_done=True)
        item, source = items[0], str(job.payload["source"])
        try:
            found = await self._fetcher.fetch(item.key)
            put = await self._pipeline.put(
                job.collection_id,
                source,
                item.key,
                found.name,
                found.body,
                found.media_type,
                intake_of(job.id),
            )
        except (FetchRefused, DocumentEmpty, DocumentTooLarge) as error:
            await self._jobs.settle_item(job.id, item.id, error=str(error))
        else:
            await self._jobs.settle_item(job.id, item.id, put.document_id)
        return JobStep(stage="fetch", result={"ingest_job": intake_of(job.id)})

    async def give_up(self, job: JobRow, reason: str) -> bool:
        """The address that is in hand fails, the others go on."""
        items, _ = await self._jobs.items(job.id, 1, state="queued")
        if items:
            await self._jobs.settle_item(job.id, items[0].id, error=reason)
        return bool(items)
