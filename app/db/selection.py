"""A filter as SQL: the same conditions for the search by words and for the list of chunk ids."""

from typing import Protocol

import numpy as np
from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.session import Database
from retrieval.postings import Postings
from retrieval.protocols import Ids
from retrieval.types import Filter


class PassageMemory(Protocol):
    async def current(self, session: AsyncSession) -> Postings | None:
        """Exactly what the transaction sees of all passages, or nothing."""
        ...


class ChunkSelection:
    """Implements `retrieval.protocols.Selection`. `memory` knows the passages of each document in a
    twentieth of the time, wherever it holds what the transaction sees."""

    def __init__(self, database: Database, memory: PassageMemory | None = None) -> None:
        self._database = database
        self._memory = memory

    async def chunk_ids(self, collection_id: int, filter_: Filter) -> Ids:
        document, source = models.Document, models.Source
        passing = (
            select(document.id)
            .join(source, source.id == document.source_id)
            .where(*conditions(collection_id, filter_))
        )
        async with self._database.session() as session:
            held = await self._memory.current(session) if self._memory is not None else None
            if held is not None:
                return held.ids_of(await _joined(session, passing))
            return await _joined(session, self._chunks_of(passing))

    def _chunks_of(self, passing: Select[int]) -> Select[int]:
        """PostgreSQL looks for the documents first only where it is made to: 8 ms instead of 80 for
        a tenth of 100,000 chunks, since it takes half of all sources to pass."""
        chunk = models.Chunk
        if self._database.is_sqlite:
            return select(chunk.id).where(chunk.document_id.in_(passing))
        documents = func.any(func.array(passing.scalar_subquery()))
        return select(chunk.id).where(chunk.document_id == documents)


async def _joined(session: AsyncSession, ids: Select[int]) -> Ids:
    """One string instead of rows: 100,000 ids take 20 ms and not 150."""
    found = ids.subquery()
    joined = await session.scalar(select(func.aggregate_strings(cast(found.c.id, String), " ")))
    return np.array((joined or "").split(), np.int64)


def conditions(collection_id: int, filter_: Filter) -> list[ColumnElement[bool]]:
    """What must hold of `Document` and its `Source`; both are joined by the caller."""
    document, source = models.Document, models.Source
    owner = models.Source.__table__.alias()  # whom results name: what it was merged into
    owner_id = func.coalesce(source.merged_into, source.id)
    found = [document.collection_id == collection_id, document.visibility == "live"]
    if filter_.sources:
        names = sorted(filter_.sources)
        named = select(owner.c.id).where(owner.c.name.in_(names))
        found.append(or_(source.name.in_(names), owner_id.in_(named)))
    if filter_.date_from is not None:
        found.append(document.date >= filter_.date_from)
    if filter_.date_to is not None:
        found.append(document.date <= filter_.date_to)
    if filter_.min_reliability > 0:
        mean = owner.c.alpha / (owner.c.alpha + owner.c.beta)
        believed = select(owner.c.id).where(mean >= filter_.min_reliability)
        found.append(owner_id.in_(believed))
    if filter_.acl_classes is not None:
        found.append(document.acl_class.in_(sorted(filter_.acl_classes)))
    if filter_.only_active:
        quarantined = select(owner.c.id).where(owner.c.state == "quarantined")
        found += [source.id.not_in(quarantined), owner_id.not_in(quarantined)]
    return found + [_has_tag(tag) for tag in sorted(filter_.tags)]


def _has_tag(name: str) -> ColumnElement[bool]:
    tag = models.DocumentTag
    return select(tag.tag).where(tag.document_id == models.Document.id, tag.tag == name).exists()
