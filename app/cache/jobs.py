"""Work that takes longer than a request: started, watched, and ended with the process.

Kept in memory; `JobBoard` is what a table would have to offer in its place.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from app.errors import JobNotFound, LarderError
from kvstore.errors import KVStoreError

log = logging.getLogger(__name__)

NUM_KEPT = 100  # finished jobs that can still be asked for

JobState = Literal["running", "done", "failed", "cancelled"]
Advance = Callable[[int, int], None]  # (done, total)
Outcome = Mapping[str, object]
Work = Callable[[Advance], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: str
    state: JobState = "running"
    done: int = 0
    total: int = 0
    error: str | None = None
    result: Outcome = field(default_factory=dict)  # what the work came to, once it is done


class JobBoard(Protocol):
    def start(self, kind: str, work: Work) -> Job: ...

    def get(self, job_id: int) -> Job:
        """Raises JobNotFound."""
        ...

    def list(self) -> list[Job]:
        """Newest first."""
        ...

    def cancel(self, job_id: int) -> Job:
        """What was done stays done. Raises JobNotFound."""
        ...

    async def stop(self) -> None:
        """At the end of the process."""
        ...


class LocalJobs:
    """Tasks of this process; one at a time, in the order they were started."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    def start(self, kind: str, work: Work) -> Job:
        job = Job(next(self._ids), kind)
        self._jobs[job.id] = job
        for old in list(self._jobs)[:-NUM_KEPT]:
            if old not in self._tasks:
                del self._jobs[old]
        task = asyncio.create_task(self._run(job.id, work), name=f"{kind} job {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))
        return job

    def get(self, job_id: int) -> Job:
        if job_id not in self._jobs:
            raise JobNotFound(f"there is no job {job_id}")
        return self._jobs[job_id]

    def list(self) -> list[Job]:
        return sorted(self._jobs.values(), key=lambda job: -job.id)

    def cancel(self, job_id: int) -> Job:
        job = self.get(job_id)
        if job_id in self._tasks:
            self._tasks[job_id].cancel()
            self._change(job_id, state="cancelled")
        return self.get(job.id)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job_id: int, work: Work) -> None:
        def advance(done: int, total: int) -> None:
            self._change(job_id, done=done, total=total)

        try:
            async with self._turn:
                result = await work(advance)
            self._change(job_id, state="done", result=result)
        except asyncio.CancelledError:
            self._change(job_id, state="cancelled")
            raise
        except (LarderError, KVStoreError) as error:
            self._change(job_id, state="failed", error=str(error))
        except Exception:
            log.exception("job %d failed", job_id)
            self._change(job_id, state="failed", error="something broke; the log has details")

    def _change(self, job_id: int, **values: object) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], **values)  # type: ignore[arg-type]
