"""What people change about sources: name, class, quarantine, merges. Each change is noted."""

import time
from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.collections import check_name
from app.db.models import Source
from app.db.reliability_models import SourceAlias, SourceEvent
from app.db.reliability_rows import SourceEventRow
from app.db.rows import SourceState
from app.db.session import Database, retried
from app.errors import InvalidValue, SourceExists, SourceNotFound

Beta = tuple[float, float]


class SourceChanges:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def rename(self, source_id: int, name: str, author: str) -> None:
        """The old name stays an alias. Raises `SourceExists` where another source has, or had,
        the new one."""
        name = check_name(name, "source")
        async with self._database.transaction() as session:
            source = await _get(session, source_id)
            if source.name == name:
                return
            other = await session.scalar(select(Source.id).where(Source.name == name))
            alias = await session.get(SourceAlias, name)
            if other is not None or (alias is not None and alias.source_id != source_id):
                raise SourceExists(f"{name!r} is, or was, the name of another source: merge them")
            await session.execute(delete(SourceAlias).where(SourceAlias.name == name))
            session.add(SourceAlias(name=source.name, source_id=source_id, created_at=time.time()))
            _note(session, source_id, "renamed", f"{source.name} -> {name}", author)
            source.name = name

    @retried
    async def merge(self, source_id: int, into_id: int, author: str) -> None:
        """`source_id` turned out to be `into_id`. Its history stays its own: see `separate`."""
        async with self._database.transaction() as session:
            source, into = await _get(session, source_id), await _get(session, into_id)
            target = into.id if into.merged_into is None else into.merged_into
            if target == source_id:
                raise InvalidValue(f"{source.name!r} cannot be merged into itself")
            # One step leads to the owner: what was merged into this source follows it.
            await session.execute(
                update(Source).where(Source.merged_into == source_id).values(merged_into=target)
            )
            source.merged_into = target
            _note(session, source_id, "merged", f"into {into.name}", author)

    @retried
    async def separate(self, source_id: int, author: str) -> None:
        """Undo a merge."""
        async with self._database.transaction() as session:
            source = await _get(session, source_id)
            if source.merged_into is None:
                raise InvalidValue(f"{source.name!r} was not merged into another source")
            source.merged_into = None
            _note(session, source_id, "separated", "", author)

    @retried
    async def set_state(
        self, source_id: int, state: SourceState, author: str, note: str = ""
    ) -> None:
        async with self._database.transaction() as session:
            source = await _get(session, source_id)
            if source.state == state:
                return
            source.state = state
            action = "quarantined" if state == "quarantined" else "released"
            _note(session, source_id, action, note, author)

    @retried
    async def set_class(self, source_id: int, class_name: str, prior: Beta, author: str) -> None:
        """What kind of source it is, and what that says before anything was observed."""
        async with self._database.transaction() as session:
            source = await _get(session, source_id)
            source.class_name = class_name
            source.prior_alpha, source.prior_beta = prior
            _note(session, source_id, "classed", class_name, author)

    @retried
    async def note(self, source_id: int, action: str, detail: str, author: str) -> None:
        async with self._database.transaction() as session:
            _note(session, source_id, action, detail, author)

    async def events(self, source_ids: Sequence[int], limit: int) -> list[SourceEventRow]:
        """Newest first."""
        columns = [getattr(SourceEvent, name) for name in SourceEventRow.__slots__]
        mine = select(*columns).where(SourceEvent.source_id.in_(source_ids))
        async with self._database.session() as session:
            found = await session.execute(mine.order_by(SourceEvent.id.desc()).limit(limit))
            return [SourceEventRow(**row) for row in found.mappings()]

    async def aliases(self, source_id: int) -> list[str]:
        """Names it had before, oldest first."""
        mine = select(SourceAlias.name).where(SourceAlias.source_id == source_id)
        async with self._database.session() as session:
            return list(await session.scalars(mine.order_by(SourceAlias.created_at)))


async def _get(session: AsyncSession, source_id: int) -> Source:
    source = await session.get(Source, source_id)
    if source is None:
        raise SourceNotFound(f"there is no source {source_id}")
    return source


def _note(session: AsyncSession, source_id: int, action: str, detail: str, author: str) -> None:
    session.add(
        SourceEvent(
            source_id=source_id,
            action=action,
            detail=detail,
            author=author,
            created_at=time.time(),
        )
    )
