"""Sources: who wrote the documents, and how far each is believed (a Beta posterior).

What a person changes about one is in app/db/source_changes.py.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same
from sqlalchemy.orm import aliased

from app.db import models
from app.db.collections import check_name, parse_id
from app.db.job_rows import OPEN
from app.db.reliability_models import SourceAlias
from app.db.rows import NEUTRAL, SourceRow
from app.db.session import Database, Statement, retried
from app.errors import InvalidValue, SourceNotFound

PRIOR_ALPHA = PRIOR_BETA = NEUTRAL
LEAST_STATED, MOST_STATED = 0.01, 0.99  # nobody knows more; beyond, one word outweighs all others

Rows = list[SourceRow]


class Sources:
    """Implements `retrieval.protocols.SourceWeights` too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def get_or_create(self, name: str) -> SourceRow:
        """The source of that name, or the one that had it before it was renamed."""
        name = check_name(name, "source")
        known = await self._renamed(name)
        if known is not None:
            return await self.get(known)
        statement = insert(models.Source).values(
            name=name,
            alpha=PRIOR_ALPHA,
            beta=PRIOR_BETA,
            prior_alpha=PRIOR_ALPHA,
            prior_beta=PRIOR_BETA,
            state="active",
            created_at=time.time(),
        )
        async with self._database.transaction() as session:
            await session.execute(statement.on_conflict_do_nothing())
        (row,) = await self._rows(_counted().where(models.Source.name == name))
        return row

    async def get(self, source_id: int) -> SourceRow:
        rows = await self._rows(_counted().where(models.Source.id == source_id))
        if not rows:
            raise SourceNotFound(f"there is no source {source_id}")
        return rows[0]

    async def find(self, name_or_id: str) -> SourceRow:
        """By name first: a source may be called "7"."""
        if (named := await self.named(name_or_id)) is not None:
            return named
        if (number := parse_id(name_or_id)) is None:
            raise SourceNotFound(f"there is no source {name_or_id!r}")
        return await self.get(number)

    async def named(self, name: str) -> SourceRow | None:
        """The source of that name, else the one that had it before; None where there is neither."""
        if rows := await self._rows(_counted().where(models.Source.name == name.strip())):
            return rows[0]
        known = await self._renamed(name.strip())
        return None if known is None else await self.get(known)

    async def list(self) -> Rows:
        return await self._rows(_counted().order_by(models.Source.name))

    @retried
    async def set_reliability(self, source_id: int, value: float) -> SourceRow:
        """Move the mean to `value`; how much evidence stands behind it (alpha + beta) stays.

        It is where the next estimate starts from, too.
        """
        if not LEAST_STATED <= value <= MOST_STATED:
            raise InvalidValue(
                f"reliability must lie between {LEAST_STATED} and {MOST_STATED}, not {value}"
            )
        source = models.Source
        strength, before = source.alpha + source.beta, source.prior_alpha + source.prior_beta
        statement = (
            update(source)
            .where(source.id == source_id)
            .values(
                alpha=strength * value,
                beta=strength * (1 - value),
                prior_alpha=before * value,
                prior_beta=before * (1 - value),
            )
        )
        async with self._database.transaction() as session:
            await session.execute(statement)
        return await self.get(source_id)

    async def weights(self, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        """Reliability behind each chunk; ids that do not exist are left out.

        So are those of sources in quarantine and of documents that wait for their removal, which
        keeps them out of every answer.
        """
        source, owner, chunk = models.Source, aliased(models.Source), models.Chunk
        statement = (
            select(chunk.id, (owner.alpha / (owner.alpha + owner.beta)).label("weight"))
            .join(models.Document, models.Document.id == chunk.document_id)
            .join(source, source.id == models.Document.source_id)
            .join(owner, owner.id == func.coalesce(source.merged_into, source.id))
            .where(self._database.among(chunk.id, chunk_ids))
            .where(owner.state == "active", source.state == "active")
            .where(models.Document.visibility == "live")
        )
        async with self._database.session() as session:
            return {row.id: row.weight for row in await session.execute(statement)}

    async def are_all_found(self) -> bool:
        """Whether no source is in quarantine and no document waits for its removal."""
        source, job = models.Source, models.Job
        aside = select(source.id).where(source.state == "quarantined")
        # Of the stage "kv" on, its rows are gone; it may be in that one for days.
        leaving = select(job.id).where(
            job.state.in_(OPEN), job.kind == "delete", job.stage.is_distinct_from("kv")
        )
        async with self._database.session() as session:
            return not await session.scalar(select(or_(aside.exists(), leaving.exists())))

    async def in_collection(self, collection_id: int) -> Sequence[int]:
        """Whom to ask: sources with a document there that can be found, less those in quarantine.

        A merged source's documents count for the one it was merged into.
        """
        source, owner, document = models.Source, aliased(models.Source), models.Document
        statement = (
            select(owner.id)
            .distinct()
            .select_from(document)
            .join(source, source.id == document.source_id)
            .join(owner, owner.id == func.coalesce(source.merged_into, source.id))
            .where(document.collection_id == collection_id, document.visibility == "live")
            .where(document.state.in_(("indexed", "ready")))
            .where(owner.state == "active", source.state == "active")
        )
        async with self._database.session() as session:
            return (await session.scalars(statement.order_by(owner.id))).all()

    async def _renamed(self, name: str) -> int | None:
        """Whose name that was before."""
        statement = select(SourceAlias.source_id).where(SourceAlias.name == name)
        async with self._database.session() as session:
            found: int | None = await session.scalar(statement)
            return found

    async def _rows(self, statement: Statement) -> Rows:
        async with self._database.session() as session:
            return [SourceRow(**row) for row in (await session.execute(statement)).mappings()]


def _counted() -> Statement:
    source, document = models.Source, models.Document
    documents = select(func.count()).select_from(document).where(document.source_id == source.id)
    return select(
        source.id,
        source.name,
        source.alpha,
        source.beta,
        source.prior_alpha,
        source.prior_beta,
        source.class_name,
        source.state,
        source.merged_into,
        documents.scalar_subquery().label("documents"),
    )
