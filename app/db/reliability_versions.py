"""Versions of what is believed about sources: each estimate is a new one, none is changed."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Base, Source
from app.db.reliability_models import Calibration, ReliabilityVersion, SourcePosterior
from app.db.reliability_rows import (
    CalibrationMethod,
    NewCalibration,
    NewVersion,
    PosteriorRow,
    VersionRow,
)
from app.db.session import Database, retried
from app.errors import VersionNotFound

# Older versions keep their row, from which their beliefs can be computed again.
KEPT_BELIEFS = 50

Beta = tuple[float, float]
Versions = list[VersionRow]
Posteriors = list[PosteriorRow]


class ReliabilityVersions:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def write(
        self,
        version: NewVersion,
        posteriors: Sequence[PosteriorRow],
        beliefs: Mapping[int, Beta],
        calibration: NewCalibration | None = None,
    ) -> VersionRow:
        """A new version, and `beliefs` (source id to alpha, beta) for ranking, in one step."""
        values = asdict(version)
        values["settings_json"] = json.dumps(values.pop("settings"), sort_keys=True)
        row = ReliabilityVersion(**values, created_at=time.time())
        async with self._database.transaction() as session:
            session.add(row)
            await session.flush()
            if posteriors:
                given = [{"version_id": row.id} | _values(posterior) for posterior in posteriors]
                await session.execute(_table(SourcePosterior).insert(), given)
            if calibration is not None:
                session.add(_calibration(row.id, calibration))
            await _believe(session, beliefs)
            await _forget_old(session)
        return _to_row(row)

    @retried
    async def believe(self, beliefs: Mapping[int, Beta]) -> None:
        """What ranking reads, between two versions."""
        async with self._database.transaction() as session:
            await _believe(session, beliefs)

    async def latest(self) -> VersionRow | None:
        newest = select(ReliabilityVersion).order_by(ReliabilityVersion.id.desc()).limit(1)
        async with self._database.session() as session:
            row = await session.scalar(newest)
        return None if row is None else _to_row(row)

    async def latest_id(self) -> int:
        """0 before the first."""
        async with self._database.session() as session:
            return await session.scalar(select(func.max(ReliabilityVersion.id))) or 0

    async def get(self, version_id: int) -> VersionRow:
        async with self._database.session() as session:
            row = await session.get(ReliabilityVersion, version_id)
        if row is None:
            raise VersionNotFound(f"there is no version {version_id} of reliability")
        return _to_row(row)

    async def list(self, limit: int) -> Versions:
        """Newest first."""
        statement = select(ReliabilityVersion).order_by(ReliabilityVersion.id.desc()).limit(limit)
        async with self._database.session() as session:
            return [_to_row(row) for row in await session.scalars(statement)]

    async def posteriors(self, version_id: int) -> Posteriors:
        """In the order they were written; none where they are too old to be kept."""
        columns = [getattr(SourcePosterior, name) for name in PosteriorRow.__slots__]
        mine = select(*columns).where(SourcePosterior.version_id == version_id)
        async with self._database.session() as session:
            found = (await session.execute(mine.order_by(SourcePosterior.id))).mappings()
            return [PosteriorRow(**row) for row in found]

    async def calibration(self, version_id: int) -> NewCalibration | None:
        """None where too little had been judged by then."""
        async with self._database.session() as session:
            row = await session.get(Calibration, version_id)
        if row is None:
            return None
        knots = tuple((score, chance) for score, chance in json.loads(row.knots_json))
        method: CalibrationMethod = "isotonic" if row.method == "isotonic" else "platt"
        return NewCalibration(method, knots, row.answers, row.thumbs, row.accept)


def _calibration(version_id: int, new: NewCalibration) -> Calibration:
    return Calibration(
        version_id=version_id,
        method=new.method,
        knots_json=json.dumps(new.knots),
        answers=new.answers,
        thumbs=new.thumbs,
        accept=new.accept,
    )


async def _believe(session: AsyncSession, beliefs: Mapping[int, Beta]) -> None:
    """By tables, not objects: the driver gets all rows at once, not one after the other."""
    table = _table(Source)
    statement = (
        table.update()
        .where(table.c.id == bindparam("source"))
        .values(alpha=bindparam("right"), beta=bindparam("wrong"))
    )
    if values := [{"source": key, "right": a, "wrong": b} for key, (a, b) in beliefs.items()]:
        await session.execute(statement, values)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _values(posterior: PosteriorRow) -> dict[str, object]:
    """`asdict` copies each value: 0.3 s for 5,000 rows."""
    return {name: getattr(posterior, name) for name in PosteriorRow.__slots__}


async def _forget_old(session: AsyncSession) -> None:
    newest = select(ReliabilityVersion.id).order_by(ReliabilityVersion.id.desc())
    oldest = await session.scalar(newest.offset(KEPT_BELIEFS - 1).limit(1))
    if oldest is not None:
        await session.execute(delete(SourcePosterior).where(SourcePosterior.version_id < oldest))


def _to_row(row: ReliabilityVersion) -> VersionRow:
    return VersionRow(
        id=row.id,
        created_at=row.created_at,
        reason=row.reason,
        estimator=row.estimator,
        settings=json.loads(row.settings_json),
        digest=row.digest,
        last_observation_id=row.last_observation_id,
        observations=row.observations,
        rounds=row.rounds,
        default_weight=row.default_weight,
        wrong_options=row.wrong_options,
    )
