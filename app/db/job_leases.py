"""Who works on a job: claimed in one transaction, kept by a heartbeat, lost to nobody by accident.

On PostgreSQL a claim skips rows that others have locked; on SQLite the transaction holds the write
lock from its start (BEGIN IMMEDIATE), so the same statements do. A lease is judged by its count of
heartbeats, not by a time: a clock that is set back or forward neither hides a dead worker nor makes
a living one look dead. Times are only kept for people and for waiting between attempts.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.job_items import end_cancelled
from app.db.job_rows import RANK_LATER, RANK_NORMAL, JobRow, JobState, JobStep
from app.db.jobs import to_row
from app.db.session import Database, retried

MAX_BACKOFF_S = 300.0
LONGEST_WAIT_S = 60.0  # a turn is two seconds, so KV takes a thirtieth of the time at least


@dataclass(frozen=True, slots=True)
class Beat:
    """A running job as somebody else's heartbeat left it."""

    job_id: str
    owner: str | None
    beat: int


class JobLeases:
    """`owner` names this process, `node` (its beginning) the data directory it holds alone."""

    def __init__(self, database: Database, node: str, owner: str) -> None:
        self._database = database
        self._node = node
        self._owner = f"{node}/{owner}"

    @retried
    async def claim(
        self,
        kinds: Collection[str],
        last_served: Mapping[int | None, int],
        stale: Collection[Beat] = (),
        job_id: str | None = None,
        active: Collection[str] = (),
    ) -> JobRow | None:
        """The next job, which is this process's from now on; None where none can be had.

        Lowest rank first (`_rank_now`), then the collection that was served longest ago
        (`last_served`: its last turn), then the job. `stale` are jobs whose owner gave no
        sign of life for a lease;
        `active` those this process is at: any other one that is still in its name was dropped,
        because a full disk kept it from saying so.
        """
        job = models.Job
        dropped = and_(
            job.state == "running", job.lease_owner == self._owner, job.id.not_in(active)
        )
        free = [job.kind.in_(kinds), or_(_is_claimable(stale), dropped)]
        if job_id is not None:
            free.append(job.id == job_id)
        async with self._database.transaction() as session:
            place = await _next_place(session, free, last_served)
            if place is None:
                return None
            rank, collection_id = place
            chosen = await session.scalar(
                select(job)
                .where(
                    *free,
                    _rank_now() == rank,
                    job.collection_id.is_not_distinct_from(collection_id),
                )
                .order_by(job.served, job.created_at, job.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if chosen is None:
                return None
            chosen.served = 1 + (await session.scalar(select(func.max(job.served))) or 0)
            if chosen.state == "running" and chosen.lease_owner != self._owner:  # a dead worker's
                chosen.attempts += 1
            chosen.state = "running"
            chosen.lease_owner = self._owner
            chosen.lease_beat += 1
            chosen.heartbeat_at = time.time()
            chosen.started_at = chosen.started_at or chosen.heartbeat_at
        return to_row(chosen)

    @retried
    async def renew(self, job_id: str) -> bool:
        """A sign of life; False where the job is somebody else's by now."""
        job = models.Job
        statement = (
            update(job)
            .where(*self._mine(job_id))
            .values(lease_beat=job.lease_beat + 1, heartbeat_at=time.time())
            .returning(job.id)
        )
        async with self._database.transaction() as session:
            return await session.scalar(statement) is not None

    @retried
    async def keep(self, job_id: str, step: JobStep, *, release: bool = False) -> JobRow | None:
        """Record a step that was made: attempts start from zero again. None: the job was lost.

        With `release`, or where the step says to wait, somebody may claim it. A job that was asked
        to end, or is done, ends here.
        """
        async with self._database.transaction() as session:
            job = await self._held(session, job_id)
            if job is None:
                return None
            _note(job, step)
            job.attempts, job.error = 0, None
            if job.is_cancelling:
                await end_cancelled(session, job)
            elif step.is_done:
                await _finish(session, job, step.error)
            elif release or step.retry_in_s is not None:
                _release(job, step.retry_in_s or 0.0)
        return to_row(job)

    @retried
    async def put_back(self, job_id: str, wait_s: float, error: str | None = None) -> JobRow | None:
        """A step that did not work. With an `error` it counts as an attempt."""
        async with self._database.transaction() as session:
            job = await self._held(session, job_id)
            if job is None:
                return None
            if error is not None:
                job.attempts += 1
                job.error = error
            _release(job, min(wait_s, MAX_BACKOFF_S))
        return to_row(job)

    async def running(self) -> Sequence[Beat]:
        """Jobs in the hands of others, with the beat they were last seen at."""
        job = models.Job
        statement = select(job.id, job.lease_owner, job.lease_beat).where(
            job.state == "running", job.lease_owner.is_distinct_from(self._owner)
        )
        async with self._database.session() as session:
            return [Beat(*row) for row in await session.execute(statement)]

    async def left_behind(self) -> Sequence[Beat]:
        """Jobs of an earlier process on this data directory, which is surely gone: the directory
        is locked. Nobody has to wait for their lease."""
        return [
            beat
            for beat in await self.running()
            if beat.owner is not None and beat.owner.startswith(f"{self._node}/")
        ]

    async def next_wait(self, kinds: Collection[str], active: Collection[str] = ()) -> float | None:
        """Seconds until a job that waits, or was dropped by this process, may be claimed; None
        where there is none."""
        job = models.Job
        dropped = and_(
            job.state == "running", job.lease_owner == self._owner, job.id.not_in(active)
        )
        statement = select(func.min(job.available_at)).where(
            job.kind.in_(kinds), or_(job.state == "queued", dropped)
        )
        async with self._database.session() as session:
            soonest = await session.scalar(statement)
        if soonest is None:
            return None
        wait = max(soonest - time.time(), 0.0)
        return 0.0 if wait > MAX_BACKOFF_S else wait  # the clock was set back: see `_is_claimable`

    def _mine(self, job_id: str) -> tuple[ColumnElement[bool], ...]:
        job = models.Job
        return job.id == job_id, job.lease_owner == self._owner, job.state == "running"

    async def _held(self, session: AsyncSession, job_id: str) -> models.Job | None:
        found: models.Job | None = await session.scalar(
            select(models.Job).where(*self._mine(job_id)).with_for_update()
        )
        return found


def _is_claimable(stale: Collection[Beat]) -> ColumnElement[bool]:
    job, now = models.Job, time.time()
    # Nothing waits longer than the longest back-off: beyond it, the clock was set back meanwhile.
    is_due = or_(job.available_at <= now, job.available_at > now + MAX_BACKOFF_S)
    dead = [
        and_(job.state == "running", job.id == beat.job_id, job.lease_beat == beat.beat)
        for beat in stale
    ]
    return or_(and_(job.state == "queued", is_due), *dead)


async def _next_place(
    session: AsyncSession,
    free: Sequence[ColumnElement[bool]],
    last_served: Mapping[int | None, int],
) -> tuple[int, int | None] | None:
    """(rank, collection id) whose turn it is."""
    job = models.Job
    rank = await session.scalar(select(func.min(_rank_now())).where(*free))
    if rank is None:
        return None
    waiting = select(job.collection_id).where(*free, _rank_now() == rank).distinct()
    ids = (await session.scalars(waiting)).all()
    return rank, min(ids, key=lambda number: (last_served.get(number, 0), number or 0))


def _rank_now() -> ColumnElement[int]:
    """A job of the later rank that had no turn for long takes its turn among the others: else those
    who go on uploading would keep everybody's KV away for good."""
    job = models.Job
    had_none = func.coalesce(job.heartbeat_at, job.created_at) < time.time() - LONGEST_WAIT_S
    return case((and_(job.rank == RANK_LATER, had_none), RANK_NORMAL), else_=job.rank)


def _note(job: models.Job, step: JobStep) -> None:
    if step.stage is not None:
        job.stage = step.stage
    if step.result is not None:
        job.result_json = json.dumps(dict(step.result))
    if step.total is not None:
        job.total = step.total
    if step.done is not None:
        job.done = step.done
    if step.rank is not None:
        job.rank = step.rank


def _release(job: models.Job, wait_s: float) -> None:
    job.state = "queued"
    job.lease_owner = None
    job.available_at = time.time() + wait_s if wait_s else 0.0


async def _finish(session: AsyncSession, job: models.Job, error: str | None) -> None:
    """Unless items were added while the last step was made."""
    item = models.JobItem
    counts = select(item.state, func.count()).where(item.job_id == job.id).group_by(item.state)
    states: dict[str, int] = {row[0]: row[1] for row in await session.execute(counts)}
    if error is None and states.get("queued"):
        _release(job, 0.0)
        return
    job.error = error
    job.state = _end_state(states, error)
    job.finished_at = time.time()
    job.lease_owner = None


def _end_state(states: Mapping[str, int], error: str | None) -> JobState:
    bad = states.get("failed", 0) + states.get("cancelled", 0)
    if error is not None or (bad and bad == sum(states.values())):
        return "failed"
    return "partial" if bad else "succeeded"
