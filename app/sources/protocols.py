"""What an estimate needs of whoever can read documents."""

from typing import Protocol

from app.sources.types import SourceAnswer


class SourceReader(Protocol):
    async def answer(
        self, question: str, source_id: int, collection_id: int
    ) -> SourceAnswer | None:
        """What that source alone says; None: it does not know."""
        ...
