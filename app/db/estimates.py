"""Estimates: probes to be asked of every source, taken one at a time, each answered once.

A probe is done in the transaction that stores what was answered, so a killed process repeats at
most the one in hand, and nothing is counted twice.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import case, func, insert, or_, select, update

from app.db.observations import append_rows, live_documents
from app.db.reliability_models import EstimateJob, Observation, Probe
from app.db.reliability_rows import (
    EstimateRow,
    EstimateState,
    NewObservation,
    NewProbe,
    ProbeRow,
)
from app.db.session import Database, Statement, retried
from app.errors import EstimateNotFound, EstimateRunning

LEASE_S = 1800.0  # after so long whoever took a probe is taken for dead
MAX_ATTEMPTS = 3

Rows = list[EstimateRow]


class Estimates:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def start(
        self, collection_id: int, estimator: str, probes: Sequence[NewProbe], author: str
    ) -> EstimateRow:
        """Raises `EstimateRunning` where one of this collection is not finished. What was made
        from a document that went meanwhile is not asked."""
        job = EstimateJob(
            collection_id=collection_id,
            estimator=estimator,
            author=author,
            state="running",
            created_at=time.time(),
        )
        running = select(EstimateJob.id).where(
            EstimateJob.collection_id == collection_id, EstimateJob.state == "running"
        )
        async with self._database.transaction() as session:
            known = await session.scalar(running)
            if known is not None:
                raise EstimateRunning(f"estimate {known} of this collection is still running")
            session.add(job)
            await session.flush()
            fresh = {"estimate_id": job.id, "state": "pending", "attempts": 0}
            named = {probe.document_id for probe in probes if probe.document_id is not None}
            there = {None, *await live_documents(session, named)}
            distinct = {probe.question: probe for probe in probes if probe.document_id in there}
            values = [asdict(probe) | fresh for probe in distinct.values()]
            if values:
                await session.execute(insert(Probe), values)
        return await self.get(job.id)

    async def get(self, estimate_id: int) -> EstimateRow:
        rows = await self._rows(_counted().where(EstimateJob.id == estimate_id))
        if not rows:
            raise EstimateNotFound(f"there is no estimate {estimate_id}")
        return rows[0]

    async def list(self, limit: int) -> Rows:
        """Newest first."""
        return await self._rows(_counted().order_by(EstimateJob.id.desc()).limit(limit))

    async def running(self) -> Rows:
        """Oldest first."""
        mine = _counted().where(EstimateJob.state == "running")
        return await self._rows(mine.order_by(EstimateJob.id))

    @retried
    async def lease(self, estimate_id: int) -> ProbeRow | None:
        """Take the next probe; None where none is left to take."""
        now = time.time()
        free = or_(
            Probe.state == "pending",
            (Probe.state == "leased") & (Probe.leased_at < now - LEASE_S),
        )
        mine = select(Probe.id).where(Probe.estimate_id == estimate_id, free).order_by(Probe.id)
        statement = (
            update(Probe)
            .where(Probe.id == mine.limit(1).scalar_subquery(), free)
            .values(state="leased", leased_at=now, attempts=Probe.attempts + 1)
            .returning(Probe)
            .execution_options(synchronize_session=False)
        )
        collection = select(EstimateJob.collection_id).where(EstimateJob.id == estimate_id)
        async with self._database.transaction() as session:
            probe = await session.scalar(statement)
            collection_id = await session.scalar(collection)
        if probe is None or collection_id is None:
            return None
        return ProbeRow(
            id=probe.id,
            estimate_id=estimate_id,
            collection_id=collection_id,
            question=probe.question,
            topic=probe.topic,
            known_answer=probe.known_answer,
            document_id=probe.document_id,
            attempts=probe.attempts,
        )

    async def answers_of(self, estimate_id: int) -> dict[int, int]:
        """How many questions each source has answered; those always silent are left out."""
        said = Observation
        statement = (
            select(said.source_id, func.count(said.id))
            .where(said.estimate_id == estimate_id, said.kind == "probe", said.answer.is_not(None))
            .group_by(said.source_id)
        )
        async with self._database.session() as session:
            rows = await session.execute(statement)
            return {source: count for source, count in rows if source is not None}

    @retried
    async def finish(self, probe_id: int, rows: Sequence[NewObservation]) -> bool:
        """Store what was answered and tick the probe off; False where it was not taken any more
        (its document was deleted, the estimate cancelled, or another process finished it)."""
        statement = (
            update(Probe)
            .where(Probe.id == probe_id, Probe.state == "leased")
            .values(state="done", leased_at=None)
            .returning(Probe.id)
        )
        async with self._database.transaction() as session:
            if await session.scalar(statement) is None:
                return False
            await append_rows(session, rows)
        return True

    @retried
    async def give_back(self, probe_id: int, error: str, *, is_tried: bool = True) -> None:
        """The probe could not be asked: it is tried again, `MAX_ATTEMPTS` times in all."""
        attempts = Probe.attempts if is_tried else Probe.attempts - 1
        state = case((attempts >= MAX_ATTEMPTS, "failed"), else_="pending")
        values = {"state": state, "attempts": attempts, "leased_at": None, "error": error}
        mine = update(Probe).where(Probe.id == probe_id, Probe.state == "leased")
        async with self._database.transaction() as session:
            await session.execute(mine.values(**values))

    @retried
    async def release_leases(self) -> None:
        """At start, when nobody else works on the data: what a killed process had in hand."""
        mine = update(Probe).where(Probe.state == "leased")
        async with self._database.transaction() as session:
            await session.execute(mine.values(state="pending", leased_at=None))

    @retried
    async def end(
        self,
        estimate_id: int,
        state: EstimateState,
        version_id: int | None = None,
        error: str | None = None,
    ) -> None:
        """What is left of its probes is not asked any more."""
        values = {"state": state, "version_id": version_id, "error": error}
        mine = update(EstimateJob).where(
            EstimateJob.id == estimate_id, EstimateJob.state == "running"
        )
        left = update(Probe).where(
            Probe.estimate_id == estimate_id, Probe.state.in_(("pending", "leased"))
        )
        async with self._database.transaction() as session:
            await session.execute(mine.values(**values, finished_at=time.time()))
            await session.execute(left.values(state="failed", leased_at=None, error=state))

    async def _rows(self, statement: Statement) -> Rows:
        async with self._database.session() as session:
            return [EstimateRow(**row) for row in (await session.execute(statement)).mappings()]


def _counted() -> Statement:
    job = EstimateJob
    probes = select(func.count()).select_from(Probe).where(Probe.estimate_id == job.id)
    said = (
        select(func.count())
        .select_from(Observation)
        .where(Observation.estimate_id == job.id, Observation.kind == "probe")
    )
    counts = {
        "total": probes,
        **{name: probes.where(Probe.state == name) for name in ("pending", "leased", "done")},
        "failed": probes.where(Probe.state == "failed"),
        "answers": said.where(Observation.answer.is_not(None)),
        "silent": said.where(Observation.answer.is_(None)),
    }
    return select(
        job.id,
        job.collection_id,
        job.estimator,
        job.author,
        job.state,
        job.error,
        job.version_id,
        job.created_at,
        job.finished_at,
        *(count.scalar_subquery().label(name) for name, count in counts.items()),
    )
