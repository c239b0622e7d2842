"""Observations about sources: appended, marked as undone, read. Nothing here changes one.

Only the removal of a document takes rows away for good (app/db/removal.py).
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Document, Run
from app.db.reliability_models import Observation, ReliabilityVersion
from app.db.reliability_rows import NewObservation, News, ObservationRow, UndoneRow
from app.db.session import Database, retried
from app.errors import InvalidValue

MAX_UNDONE_IDS = 1000  # named one by one; an author or a source takes back any number
BATCH = 500  # rows an insert
DAY_S = 86400.0
MOST_NEWS = 200  # beyond these an estimate is due, which reads everything

COLUMNS = tuple(Observation.__table__.columns)


class Observations:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def append(
        self, rows: Sequence[NewObservation], observed_at: float | None = None
    ) -> list[int]:
        """Ids in the order of `rows`, less those of documents that are gone; all or nothing."""
        async with self._database.transaction() as session:
            return await append_rows(session, rows, observed_at)

    async def active(self, as_of: int | None = None) -> list[ObservationRow]:
        """What counts, oldest first: undoing rows and what they took back are left out.

        `as_of` is an observation's id: what counted when that was the last one.
        """
        return await self._rows(_counted(as_of))

    async def after(self, last_id: int) -> list[ObservationRow]:
        """Every row that came later, undoing ones included."""
        return await self._rows(Observation.id > last_id)

    async def news(self, last_id: int, owners: Mapping[int, int]) -> News:
        """What came after `last_id`, in one view: each session would cost an update a tenth.

        `owners` has what each merged source was merged into.
        """
        latest = select(func.max(ReliabilityVersion.id))
        async with self._database.session() as session:
            version = await session.scalar(latest) or 0
            rows = await _read(session, Observation.id > last_id)
            if not 0 < len(rows) <= MOST_NEWS:
                return News(version, tuple(rows), ())
            first = min(row.observed_at for row in rows)
            mine = or_(
                Observation.source_id.in_(_alike(rows, owners)), Observation.kind == "feedback"
            )
            same_days = and_(_counted(None), Observation.observed_at >= first - first % DAY_S, mine)
            return News(version, tuple(rows), tuple(await _read(session, same_days)))

    async def since(self, observed_at: float) -> list[ObservationRow]:
        """What counts and was observed at that time or later."""
        return await self._rows(and_(_counted(None), Observation.observed_at >= observed_at))

    async def of_source(
        self, source_ids: Sequence[int], limit: int, before_id: int | None = None
    ) -> list[ObservationRow]:
        """Newest first, with what was undone."""
        condition: ColumnElement[bool] = Observation.source_id.in_(source_ids)
        if before_id is not None:
            condition &= Observation.id < before_id
        statement = select(*COLUMNS).where(condition).order_by(Observation.id.desc()).limit(limit)
        async with self._database.session() as session:
            found = (await session.execute(statement)).mappings()
            return [ObservationRow(**row) for row in found]

    async def topics(self) -> dict[str, str]:
        """Topic of each question that counts: the last that was named for it, "" for none."""
        asked = select(Observation.question, Observation.topic).where(_counted(None)).distinct()
        async with self._database.session() as session:
            rows = (await session.execute(asked)).all()
        return {row.question: row.topic for row in sorted(rows, key=lambda row: bool(row.topic))}

    async def undone_count(self, source_ids: Sequence[int]) -> int:
        """How much of what these sources said was taken back."""
        mine = Observation.source_id.in_(source_ids) & Observation.undone_by.is_not(None)
        async with self._database.session() as session:
            return await session.scalar(select(func.count(Observation.id)).where(mine)) or 0

    async def last_id(self) -> int:
        """0 where nothing was ever observed."""
        async with self._database.session() as session:
            return await session.scalar(select(func.max(Observation.id))) or 0

    @retried
    async def undo(self, ids: Sequence[int], author: str, note: str) -> UndoneRow:
        """Take these back. Raises `InvalidValue` where one is unknown or was taken back before."""
        wanted = sorted(set(ids))
        if not 0 < len(wanted) <= MAX_UNDONE_IDS:
            raise InvalidValue(f"name 1 to {MAX_UNDONE_IDS} observations, not {len(wanted)}")
        async with self._database.transaction() as session:
            condition = and_(_counted(None), Observation.id.in_(wanted))
            found = set(await session.scalars(select(Observation.id).where(condition)))
            if missing := [number for number in wanted if number not in found]:
                shown = ", ".join(map(str, missing[:10]))
                raise InvalidValue(f"there is nothing to undo under {shown}")
            return await _undo(session, condition, author, note)

    async def undo_author(self, whom: str, author: str, note: str) -> UndoneRow:
        """Take back all that one person said."""
        return await self._undo_where(Observation.author == whom, author, note)

    async def undo_source(self, source_ids: Sequence[int], author: str, note: str) -> UndoneRow:
        """Take back all that a source said."""
        return await self._undo_where(Observation.source_id.in_(source_ids), author, note)

    @retried
    async def return_to(self, last_id: int, author: str, note: str) -> UndoneRow:
        """What counts is again what counted at observation `last_id`.

        What came later is undone; what was undone later is appended again, as it was observed.
        """
        later = and_(_counted(None), Observation.id > last_id)
        taken_back = and_(_counted(last_id), Observation.undone_by.is_not(None))
        async with self._database.transaction() as session:
            found = await session.execute(select(*COLUMNS).where(taken_back))
            lost = [ObservationRow(**row) for row in found.mappings()]
            undone = await _undo(session, later, author, note)
            for row in lost:
                await append_rows(session, [_copy(row)], row.observed_at)
        return UndoneRow(undone.undo_id, undone.count + len(lost))

    @retried
    async def _undo_where(
        self, condition: ColumnElement[bool], author: str, note: str
    ) -> UndoneRow:
        async with self._database.transaction() as session:
            return await _undo(session, and_(_counted(None), condition), author, note)

    async def _rows(self, condition: ColumnElement[bool]) -> list[ObservationRow]:
        async with self._database.session() as session:
            return await _read(session, condition)


async def _read(session: AsyncSession, condition: ColumnElement[bool]) -> list[ObservationRow]:
    """Oldest first."""
    statement = select(*COLUMNS).where(condition).order_by(Observation.id)
    return [ObservationRow(**row) for row in (await session.execute(statement)).mappings()]


def _alike(rows: Sequence[ObservationRow], owners: Mapping[int, int]) -> set[int]:
    """The sources of these rows, and what is merged with them."""
    spoke = {owners.get(row.source_id, row.source_id) for row in rows if row.source_id is not None}
    return spoke | {merged for merged, owner in owners.items() if owner in spoke}


async def append_rows(
    session: AsyncSession, rows: Sequence[NewObservation], observed_at: float | None = None
) -> list[int]:
    """Within the caller's transaction; ids in the order of `rows`, which share one time.

    What was read in a document that went meanwhile, or in an answer that quotes it, is left out.
    """
    when = time.time() if observed_at is None else observed_at
    rows = await _still_there(session, [await _with_origin(session, row) for row in rows])
    ids: list[int] = []
    for start in range(0, len(rows), BATCH):
        values = [asdict(row) | {"observed_at": when} for row in rows[start : start + BATCH]]
        statement = insert(Observation).returning(Observation.id, sort_by_parameter_order=True)
        ids += await session.scalars(statement, values)
    return ids


async def _with_origin(session: AsyncSession, row: NewObservation) -> NewObservation:
    """A person's label with what is known of it: the collection in which its question was asked,
    and the documents whose words it repeats (where its question was made, and where its source says
    the answer). It goes when they go."""
    if row.kind != "label":
        return row
    same = Observation.question == row.question
    newest = Observation.id.desc()
    asked = select(Observation.question_document_id).where(
        same, Observation.question_document_id.is_not(None)
    )
    said = select(Observation.document_id).where(
        same,
        Observation.source_id == row.source_id,
        Observation.answer == row.answer,
        Observation.document_id.is_not(None),
    )
    question, answer = row.question_document_id, row.document_id
    if question is None:
        question = await session.scalar(asked.order_by(newest).limit(1))
    if answer is None:
        answer = await session.scalar(said.order_by(newest).limit(1))
    place = row.collection_id
    if place is None:
        place = await _asked_in(session, row)
    return replace(row, question_document_id=question, document_id=answer, collection_id=place)


async def _asked_in(session: AsyncSession, row: NewObservation) -> int | None:
    """The one collection in which its source, or else anybody, was asked that question."""
    asked = select(Observation.collection_id).where(
        Observation.question == row.question, Observation.collection_id.is_not(None)
    )
    mine = asked.where(Observation.source_id == row.source_id)
    for statement in (mine, asked):
        found = (await session.scalars(statement.distinct().limit(2))).all()
        if found:
            return found[0] if len(found) == 1 else None
    return None


async def _still_there(
    session: AsyncSession, rows: Sequence[NewObservation]
) -> list[NewObservation]:
    named = {n for r in rows for n in (r.document_id, r.question_document_id) if n is not None}
    there = {None, *await live_documents(session, named)}
    quoted = {row.run_id for row in rows if row.run_id is not None}
    mine = select(Run.id).where(Run.id.in_(quoted), Run.is_redacted)
    redacted = set(await session.scalars(mine)) if quoted else set()
    return [
        row
        for row in rows
        if {row.document_id, row.question_document_id} <= there and row.run_id not in redacted
    ]


async def live_documents(session: AsyncSession, document_ids: Collection[int]) -> set[int]:
    """Those that are there and not about to be deleted."""
    found: set[int] = set()
    wanted = sorted(document_ids)
    for start in range(0, len(wanted), BATCH):
        mine = Document.id.in_(wanted[start : start + BATCH])
        live = select(Document.id).where(mine, Document.visibility != "deleting")
        found.update(await session.scalars(live))
    return found


def _counted(as_of: int | None) -> ColumnElement[bool]:
    counted = Observation.kind != "undo"
    if as_of is None:
        return and_(counted, Observation.undone_by.is_(None))
    in_force = or_(Observation.undone_by.is_(None), Observation.undone_by > as_of)
    return and_(counted, Observation.id <= as_of, in_force)


async def _undo(
    session: AsyncSession, condition: ColumnElement[bool], author: str, note: str
) -> UndoneRow:
    row = NewObservation("undo", None, "", None, author=author, note=note)
    (undo_id,) = await append_rows(session, [row])
    statement = update(Observation).where(condition).values(undone_by=undo_id)
    found = await session.scalars(statement.returning(Observation.id))
    return UndoneRow(undo_id, len(found.all()))


def _copy(row: ObservationRow) -> NewObservation:
    left_out = ("id", "observed_at", "undone_by")
    return NewObservation(**{k: v for k, v in asdict(row).items() if k not in left_out})
