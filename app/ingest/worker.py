"""The background tasks that work on jobs: claim, step, keep, until nothing is open.

The database is the queue, so work goes on after a restart where it was. Knows no kind of job; a
handler does. Handlers of one lane take turns, lanes run side by side.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.db.job_leases import Beat, JobLeases
from app.db.job_rows import JobRow, JobStep
from app.errors import LarderError, StorageBusy, StorageFull
from app.ingest.protocols import JobHandler

INTERNAL_ERROR = "something went wrong inside Larder; its log has the details"
GRACE_S = 10.0  # for the step in hand when stopping; what is cut off is repeated at the next start

log = logging.getLogger(__name__)

OnStep = Callable[[JobRow], None]


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    lease_s: float = 60.0  # without a heartbeat for so long a worker counts as dead
    turn_s: float = 2.0  # a job goes on for so long before others have their turn
    retry_s: float = 30.0  # after a full disk, or a database that does not answer
    backoff_s: float = 2.0  # after a first failed attempt; twice as long after each further one
    max_attempts: int = 5  # without any progress; then what is in the way is given up


class _Lane:
    """Handlers that never run at the same time."""

    def __init__(self, handlers: Sequence[JobHandler]) -> None:
        self.handlers = {handler.kind: handler for handler in handlers}
        self.wake = asyncio.Event()
        self.idle = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def sleep(self, seconds: float) -> None:
        """Until there is something new to do, or that time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()


class JobWorker:
    """One per process: start it, wake it after each new job, stop it at the end."""

    def __init__(
        self,
        leases: JobLeases,
        lanes: Sequence[Sequence[JobHandler]],
        config: WorkerConfig | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self._leases = leases
        self._lanes = [_Lane(handlers) for handlers in lanes]
        self._config = config or WorkerConfig()
        self._on_step = on_step
        self._stopping = False
        self._active: set[str] = set()
        self._turns: dict[int | None, int] = {}  # by collection: the number of its last turn
        self._seen: dict[Beat, float] = {}  # others' heartbeats, and when each was first seen
        self._looked_at = -1e9

    def start(self) -> None:
        self._stopping = False
        for lane in self._lanes:
            name = f"jobs: {', '.join(lane.handlers)}"
            lane.task = asyncio.create_task(self._run(lane), name=name)

    def submit(self) -> None:
        """There is something new to do."""
        for lane in self._lanes:
            lane.idle.clear()
            lane.wake.set()

    async def wait_idle(self) -> None:
        """Until no job is open that this process could work on."""
        while not all(lane.idle.is_set() for lane in self._lanes):
            for lane in self._lanes:
                await lane.idle.wait()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Finish the steps in hand, or cut them off after `grace_s`."""
        tasks = {lane.task for lane in self._lanes if lane.task is not None}
        if not tasks:
            return
        self._stopping = True
        for lane in self._lanes:
            lane.wake.set()
            lane.task = None
        await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job_id in tuple(self._active):  # cut off by us: no failed attempt of theirs
            try:
                await self._leases.put_back(job_id, 0)
            except LarderError as error:
                log.warning("job %s is taken up at the next start: %s", job_id, error)
        self._active.clear()

    async def run_now(self, job_id: str) -> bool:
        """Work on one job here until it ends or waits; False where somebody else has it."""
        handlers = {
            kind: handler for lane in self._lanes for kind, handler in lane.handlers.items()
        }
        job = await self._leases.claim(handlers, self._turns, job_id=job_id, active=self._active)
        if job is None:
            return False
        await self._hold(handlers[job.kind], job, turn_s=float("inf"))
        return True

    async def _run(self, lane: _Lane) -> None:
        while not self._stopping:
            lane.wake.clear()
            try:
                wait = await self._turn(lane)
            except Exception:
                log.exception("jobs stopped; they go on in %.0f seconds", self._config.retry_s)
                await lane.sleep(self._config.retry_s)
                continue
            if wait is None and not lane.wake.is_set():
                lane.idle.set()
            if wait != 0:
                poll = self._config.lease_s / 4
                await lane.sleep(poll if wait is None else min(wait, poll))

    async def _turn(self, lane: _Lane) -> float | None:
        """One job's turn: 0. Else seconds until there may be one; None where nothing is open."""
        stale = await self._stale()
        # A look first: it needs no write lock, and mostly there is nothing.
        wait = await self._leases.next_wait(lane.handlers, self._active)
        if wait != 0 and not stale:
            return wait
        job = await self._leases.claim(lane.handlers, self._turns, stale, active=self._active)
        if job is None:
            return wait or None
        lane.idle.clear()
        self._turns[job.collection_id] = 1 + max(self._turns.values(), default=0)
        await self._hold(lane.handlers[job.kind], job, self._config.turn_s)
        for other in self._lanes:  # what was done may be work for them, such as an older version
            if other is not lane:
                other.idle.clear()
                other.wake.set()
        return 0.0

    async def _hold(self, handler: JobHandler, job: JobRow, turn_s: float) -> None:
        """Step by step, with a heartbeat beside it that ends the work where the lease is lost."""
        self._active.add(job.id)
        work = asyncio.create_task(self._work(handler, job, turn_s))
        beat = asyncio.create_task(self._beat(job.id, work))
        try:
            await work
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise  # `stop` puts the job back
            log.warning("job %s went on elsewhere; this process leaves it", job.id)
        except Exception:
            self._active.discard(job.id)
            raise
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        self._active.discard(job.id)

    async def _work(self, handler: JobHandler, job: JobRow, turn_s: float) -> None:
        ends = time.monotonic() + turn_s
        while True:
            try:
                step = await self._step(handler, job)
            except (StorageFull, StorageBusy) as error:
                log.warning("%s job %s waits: %s", job.kind, job.id, error)
                await self._leases.put_back(job.id, self._config.retry_s)
                return
            except Exception as error:
                await self._count_failure(job, error)
                return
            is_over = self._stopping or time.monotonic() >= ends or step.rank is not None
            kept = await self._leases.keep(job.id, step, release=is_over)
            if kept is None:
                return
            if self._on_step is not None:
                self._on_step(kept)
            if kept.state != "running":
                return
            job = kept

    async def _step(self, handler: JobHandler, job: JobRow) -> JobStep:
        if job.is_cancelling:
            return JobStep()
        if job.attempts < self._config.max_attempts:
            return await handler.step(job)
        reason = job.error or f"it stopped the server {job.attempts} times"
        if await handler.give_up(job, reason):
            return JobStep()
        return JobStep(is_done=True, error=reason)

    async def _count_failure(self, job: JobRow, error: Exception) -> None:
        is_known = isinstance(error, LarderError)
        if not is_known:
            log.error("%s job %s failed", job.kind, job.id, exc_info=error)
        message = str(error) if is_known else INTERNAL_ERROR
        wait_s = self._config.backoff_s * 2**job.attempts
        await self._leases.put_back(job.id, wait_s, message)

    async def _beat(self, job_id: str, work: asyncio.Task[None]) -> None:
        while True:
            await asyncio.sleep(self._config.lease_s / 3)
            try:
                if not await self._leases.renew(job_id):
                    work.cancel()
                    return
            except LarderError as error:
                log.warning("no heartbeat for job %s: %s", job_id, error)

    async def _stale(self) -> list[Beat]:
        """Jobs whose owner is gone: one of this directory, or one that showed no sign of life for
        a lease. Measured by this process's own steady clock."""
        now = time.monotonic()
        if self._looked_at < 0:
            self._seen = dict.fromkeys(await self._leases.left_behind(), -1e9)
        if now - self._looked_at >= self._config.lease_s / 4:
            self._looked_at = now
            running = await self._leases.running()
            self._seen = {beat: self._seen.get(beat, now) for beat in running}
        return [beat for beat, seen in self._seen.items() if now - seen >= self._config.lease_s]
