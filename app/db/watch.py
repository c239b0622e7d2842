"""What the production watch saw, and what it switched off."""

import time

import numpy as np
from sqlalchemy import func, select, update

from app.db import models
from app.db.overview import sample
from app.db.rows import SuspensionRow, WatchedRow, WatchSummaryRow
from app.db.session import Database, retried

RESET = "reset"


class Watch:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def add(self, row: WatchedRow) -> None:
        values = {name: getattr(row, name) for name in WatchedRow.__dataclass_fields__}
        async with self._database.transaction() as session:
            session.add(models.WatchedRequest(created_at=time.time(), **values))

    async def drifts(self, identity: str, limit: int) -> list[tuple[int | None, float]]:
        """(collection, KL) of the last `limit` checks since the last reset, oldest first."""
        request = models.WatchedRequest
        since = await self._last_reset(identity)
        statement = (
            select(request.collection_id, request.kl)
            .where(request.identity == identity, request.kl.is_not(None))
            .where(request.created_at > since)
            .order_by(request.id.desc())
            .limit(limit)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
        return [(row.collection_id, float(row.kl)) for row in reversed(rows)]

    @retried
    async def suspend(self, identity: str, collection_id: int | None, reason: str) -> None:
        row = models.ReuseSuspension(
            identity=identity, collection_id=collection_id, since=time.time(), reason=reason
        )
        async with self._database.transaction() as session:
            session.add(row)

    async def suspensions(self, identity: str) -> list[SuspensionRow]:
        """Those in force, oldest first."""
        off, collection = models.ReuseSuspension, models.Collection
        statement = (
            select(off.collection_id, collection.name, off.since, off.reason)
            .outerjoin(collection, collection.id == off.collection_id)
            .where(off.identity == identity, off.lifted_at.is_(None))
            .order_by(off.id)
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement)).all()
        return [SuspensionRow(row.collection_id, row.name, row.since, row.reason) for row in rows]

    @retried
    async def reset(self, identity: str) -> int:
        """Lift what is in force and let earlier checks count no more; how many were lifted."""
        now = time.time()
        off = models.ReuseSuspension
        marker = off(identity=identity, collection_id=None, since=now, reason=RESET, lifted_at=now)
        statement = (
            update(off)
            .where(off.identity == identity, off.lifted_at.is_(None))
            .values(lifted_at=now)
        )
        async with self._database.transaction() as session:
            lifted = len((await session.execute(statement.returning(off.id))).all())
            session.add(marker)
        return lifted

    async def summary(self, identity: str) -> WatchSummaryRow:
        """Everything since the last reset."""
        request = models.WatchedRequest
        statement = select(
            request.arm, request.first_token_ms, request.full_ms, request.kl, request.top1_agreement
        ).where(request.identity == identity, request.created_at > await self._last_reset(identity))
        async with self._database.session() as session:
            rows = (await session.execute(statement.order_by(request.id))).all()
        checks = [row for row in rows if row.arm == "watch"]
        drifts = [float(row.kl) for row in checks]
        return WatchSummaryRow(
            checked=len(checks),
            kl_mean=float(np.mean(drifts)) if drifts else None,
            kl_max=max(drifts, default=None),
            top1_agreement=float(np.mean([r.top1_agreement for r in checks])) if checks else None,
            served=sample([row.first_token_ms for row in checks]),
            full=sample([row.full_ms for row in checks]),
            off=sample([row.first_token_ms for row in rows if row.arm == "off"]),
            on=sample([row.first_token_ms for row in rows if row.arm == "on"]),
        )

    async def _last_reset(self, identity: str) -> float:
        off = models.ReuseSuspension
        statement = select(func.max(off.lifted_at)).where(off.identity == identity)
        async with self._database.session() as session:
            return await session.scalar(statement) or 0.0
