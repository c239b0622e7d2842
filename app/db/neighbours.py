"""Token ids of the chunks that stand around others in their documents."""

from collections.abc import Sequence

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models, tokens
from kvstore.primers import primer_places

Place = tuple[int, int]  # document id, ordinal
Primers = tuple[tuple[int, ...], ...]


async def find_primers(session: AsyncSession, places: Sequence[Place]) -> dict[Place, Primers]:
    """By place: the token ids of a chunk's primers, in prompt order."""
    chunk = models.Chunk
    documents = {document_id for document_id, _ in places}
    counted = await session.execute(
        select(chunk.document_id, func.count().label("num_chunks"))
        .where(chunk.document_id.in_(documents))
        .group_by(chunk.document_id)
    )
    counts = {row.document_id: row.num_chunks for row in counted}
    wanted = {
        (document_id, ordinal): [
            (document_id, near) for near in primer_places(ordinal, counts[document_id])
        ]
        for document_id, ordinal in places
    }
    found = await _token_ids(session, {place for near in wanted.values() for place in near})
    return {place: tuple(found[near] for near in places) for place, places in wanted.items()}


async def _token_ids(session: AsyncSession, places: set[Place]) -> dict[Place, tuple[int, ...]]:
    if not places:
        return {}
    chunk = models.Chunk
    conditions = [
        and_(chunk.document_id == document_id, chunk.ordinal == ordinal)
        for document_id, ordinal in sorted(places)
    ]
    rows = await session.execute(
        select(chunk.document_id, chunk.ordinal, chunk.token_ids).where(or_(*conditions))
    )
    return {(row.document_id, row.ordinal): tokens.unpack(row.token_ids) for row in rows}
