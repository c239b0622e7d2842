"""A filter as SQL: the same conditions for the search by words and for the list of chunk ids."""

import numpy as np
from sqlalchemy import ColumnElement, String, cast, func, select

from app.db import models
from app.db.session import Database
from retrieval.protocols import Ids
from retrieval.types import Filter


class ChunkSelection:
    """Implements `retrieval.protocols.Selection`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chunk_ids(self, collection_id: int, filter_: Filter) -> Ids:
        """One string instead of rows: 100,000 ids take 20 ms and not 150."""
        chunk, document, source = models.Chunk, models.Document, models.Source
        statement = (
            select(func.aggregate_strings(cast(chunk.id, String), " "))
            .join(document, document.id == chunk.document_id)
            .join(source, source.id == document.source_id)
            .where(*conditions(collection_id, filter_))
        )
        async with self._database.session() as session:
            joined = await session.scalar(statement)
        return np.array((joined or "").split(), np.int64)


def conditions(collection_id: int, filter_: Filter) -> list[ColumnElement[bool]]:
    """What must hold of `Document` and its `Source`; both are joined by the caller."""
    document, source = models.Document, models.Source
    found = [document.collection_id == collection_id, document.visibility == "live"]
    if filter_.sources:
        found.append(source.name.in_(sorted(filter_.sources)))
    if filter_.date_from is not None:
        found.append(document.date >= filter_.date_from)
    if filter_.date_to is not None:
        found.append(document.date <= filter_.date_to)
    if filter_.min_reliability > 0:
        mean = source.alpha / (source.alpha + source.beta)
        found.append(mean >= filter_.min_reliability)
    if filter_.acl_classes is not None:
        found.append(document.acl_class.in_(sorted(filter_.acl_classes)))
    if filter_.only_active:
        aside = models.Source.__table__.alias()
        quarantined = select(aside.c.id).where(aside.c.state == "quarantined")
        found += [source.id.not_in(quarantined)]
        found += [func.coalesce(source.merged_into, source.id).not_in(quarantined)]
    return found + [_has_tag(tag) for tag in sorted(filter_.tags)]


def _has_tag(name: str) -> ColumnElement[bool]:
    tag = models.DocumentTag
    return select(tag.tag).where(tag.document_id == models.Document.id, tag.tag == name).exists()
