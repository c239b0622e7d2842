"""What both databases' own searches by words share: a transaction around each search."""

from abc import ABC, abstractmethod

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database
from retrieval.protocols import Ids
from retrieval.types import NO_FILTER, Filter


class DatabaseSearch(ABC):
    """Implements `retrieval.protocols.LexicalIndex`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter = NO_FILTER,
        allowed: Ids | None = None,  # noqa: ARG002 (the filter is in the SQL)
    ) -> list[tuple[int, float]]:
        async with self._database.session() as session:
            return await self.search_in(session, text, collection_id, limit, filter_)

    @abstractmethod
    async def search_in(
        self,
        session: AsyncSession,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter,
    ) -> list[tuple[int, float]]:
        """As `search`, within a transaction."""
