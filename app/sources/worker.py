"""The background task that asks probes, one at a time, and takes in what else was observed.

The database is the queue: a running estimate is gone on with, also after a restart.
"""

import asyncio
import contextlib
import logging

from app.db.estimates import Estimates
from app.sources.beliefs import Beliefs
from app.sources.estimation import Estimation

RETRY_S = 30.0  # after a full disk, a busy decoder, or a database that does not answer
NIGHT_S = 86400.0  # feedback since the last estimate is estimated anew that often, and what fades
GRACE_S = 5.0  # for the probe in hand when stopping; what is cut off is asked again

log = logging.getLogger(__name__)


class EstimationWorker:
    """One per process: start it, wake it after each new estimate, stop it at the end."""

    def __init__(
        self,
        estimation: Estimation,
        estimates: Estimates,
        beliefs: Beliefs,
        *,
        retry_s: float = RETRY_S,
        night_s: float = NIGHT_S,
    ) -> None:
        self._estimation = estimation
        self._estimates = estimates
        self._beliefs = beliefs
        self._retry_s = retry_s
        self._night_s = night_s
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Needs the data directory for itself: what is leased was leased by a process that died."""
        await self._estimates.release_leases()
        self._task = asyncio.create_task(self._run(), name="estimation worker")

    def submit(self) -> None:
        """There is a new estimate."""
        self._idle.clear()
        self._wake.set()

    async def wait_idle(self) -> None:
        """Until no estimate is running."""
        await self._idle.wait()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=grace_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._work()
            except Exception:
                log.exception("estimates stopped; they go on in %.0f seconds", self._retry_s)
                await self._sleep(self._retry_s)
                continue
            if not self._stopping and not await self._sleep(self._night_s):
                await self._refit_at_night()

    async def _work(self) -> None:
        """Until nothing is left to ask."""
        while not self._stopping and (running := await self._estimates.running()):
            before = running[0]
            went_on = await self._estimation.step(before)
            if not went_on and (await self._estimates.get(before.id)).state == "running":
                await self._sleep(self._retry_s)  # another process has its last probe in hand
        if not self._wake.is_set():
            self._idle.set()

    async def _refit_at_night(self) -> None:
        try:
            if await self._beliefs.is_due():
                await self._beliefs.refit("night")
        except Exception:
            log.exception("beliefs could not be estimated; they are tomorrow")

    async def _sleep(self, seconds: float) -> bool:
        """False where that time passed without anything new to do."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                return True
        return False
