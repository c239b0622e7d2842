"""Search by words from memory: BM25 as SQLite's full-text index ranks, in a fraction of the time,
over either database; and the database's own search wherever memory does not know exactly what a
transaction sees.

Each search compares, in its transaction, what it sees with what memory holds (`passage_state`), so
a crash between the two cannot matter.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from sqlalchemy import String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.lexical import asked_words, lexical_search
from app.db.passage_state import State, num_passages_in, state_of
from app.db.selection import conditions
from app.db.session import Database
from app.db.sqlite_tokens import SqliteTokens
from app.errors import DataDirDamaged
from retrieval.postings import Matches, PassageWords, Postings
from retrieval.protocols import Ids, LexicalIndex
from retrieval.types import NO_FILTER, Filter

log = logging.getLogger(__name__)

Hits = list[tuple[int, float]]

BATCH = 2_000  # passages in hand while filling
FOLLOWED = 500  # so many new passages a search takes in itself (50 ms); more are left to the task
FIRST_LOOK = 4  # times as many as asked for are looked up first: some may not pass the filter
MAX_LOOKED_UP = 4_000  # candidates; where a filter lets less through, the database is faster


@dataclass(frozen=True, slots=True)
class Held:
    """What memory holds, and the state that it is exactly."""

    state: State
    postings: Postings


@asynccontextmanager
async def open_words(database: Database, *, in_memory: bool) -> AsyncIterator[LexicalIndex]:
    """The search by words that a server uses."""
    if not in_memory:
        yield lexical_search(database)
        return
    memory = LexicalMemory(database)
    try:
        yield memory
    finally:
        await memory.stop()


class LexicalMemory:
    """Implements `retrieval.protocols.LexicalIndex`. The first search starts filling it; until that
    is done, and whenever it is behind, the database answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._plain = lexical_search(database)
        self._tokens = SqliteTokens()
        self._held: Held | None = None
        self._turn = asyncio.Lock()  # of those that replace `_held`
        self._filling: asyncio.Task[None] | None = None

    async def search(
        self,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter = NO_FILTER,
        allowed: Ids | None = None,
    ) -> Hits:
        words = asked_words(text)
        if not words or limit < 1:
            return []
        terms = self._tokens.of_question(words)
        async with self._database.session() as session:
            postings = await self.current(session) if terms is not None else None
            if postings is not None and terms is not None:
                matches = await asyncio.to_thread(postings.matches, terms, collection_id, allowed)
                if allowed is not None:
                    return matches.best(limit).hits()
                hits = await self._passing(session, matches, collection_id, limit, filter_)
                if hits is not None:
                    return hits
            return await self._plain.search_in(session, text, collection_id, limit, filter_)

    def start(self) -> None:
        """Fill it, or catch up, in the background."""
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill())

    async def fill(self) -> None:
        """The same, and wait for it."""
        self.start()
        if self._filling is not None:
            await self._filling

    async def stop(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filling
        self._tokens.close()

    @property
    def num_bytes(self) -> int:
        return self._held.postings.num_bytes if self._held else 0

    async def current(self, session: AsyncSession) -> Postings | None:
        """What this transaction sees of the index; None where memory does not have it."""
        held = self._held
        if held is None:
            if self._filling is None:
                self.start()
            return None
        seen = await self._state(session)
        if seen == held.state:
            return held.postings
        if seen.age < held.state.age or self._turn.locked():
            return None
        if await _num_after(session, held.postings.last_id) > FOLLOWED:
            self.start()
            return None
        async with self._turn:
            await self._follow(session)
        held = self._held
        return held.postings if held is not None and seen == held.state else None

    async def _fill(self) -> None:
        try:
            async with self._turn:
                await self._fill_up()
        except Exception:
            log.exception("words are searched in the database: memory could not be filled")

    async def _fill_up(self) -> None:
        postings = self._held.postings if self._held else Postings.empty()
        while True:
            async with self._database.session() as session:
                passages = await self._passages(session, postings.last_id, BATCH)
                if len(passages) < BATCH:
                    await self._follow(session, postings)
                    return
            postings = await asyncio.to_thread(postings.with_passages, passages)

    async def _follow(self, session: AsyncSession, postings: Postings | None = None) -> None:
        """Hold what this transaction sees; `postings` has a part of it."""
        if postings is None:
            postings = self._held.postings if self._held else Postings.empty()
        seen = await self._state(session)
        num_passages = seen.num_passages
        if num_passages is None:
            num_passages = await num_passages_in(session)
        new = await self._passages(session, postings.last_id)
        postings = await asyncio.to_thread(postings.with_passages, new)
        if postings.num_passages > num_passages:  # some were deleted
            postings = await asyncio.to_thread(postings.only, await _chunk_ids(session))
        num_words = postings.num_words if seen.num_words is None else seen.num_words
        if (postings.num_passages, postings.num_words) != (num_passages, num_words):
            self._held = None
            raise DataDirDamaged(
                f"the index of words counts {num_passages} passages of {num_words} words, "
                f"the table {postings.num_passages} of {postings.num_words}"
            )
        self._held = Held(seen, postings)

    async def _state(self, session: AsyncSession) -> State:
        return await state_of(session, is_sqlite=self._database.is_sqlite)

    async def _passages(
        self, session: AsyncSession, after_id: int, limit: int | None = None
    ) -> list[PassageWords]:
        chunk, document = models.Chunk, models.Document
        statement = select(
            chunk.id, chunk.document_id, document.collection_id, chunk.label, chunk.text
        )
        statement = statement.join(document).where(chunk.id > after_id).order_by(chunk.id)
        rows = (await session.execute(statement.limit(limit))).all()
        cut = self._tokens.of_passage

        def words() -> list[PassageWords]:
            return [
                PassageWords(
                    row.id, row.document_id, row.collection_id, cut(row.label), cut(row.text)
                )
                for row in rows
            ]

        return await asyncio.to_thread(words)

    async def _passing(
        self,
        session: AsyncSession,
        matches: Matches,
        collection_id: int,
        limit: int,
        filter_: Filter,
    ) -> Hits | None:
        """The best that are live and pass, looked up from the top; None where too many do not."""
        document, source = models.Document, models.Source
        passing = select(document.id).join(source, source.id == document.source_id)
        passing = passing.where(*conditions(collection_id, filter_))
        hits: Hits = []
        num_seen, wanted = 0, FIRST_LOOK * limit
        while num_seen < len(matches.ids):
            best = matches.best(wanted).after(num_seen)
            among = self._database.among(document.id, np.unique(best.documents).tolist())
            kept = list(await session.scalars(passing.where(among)))
            hits += best.of_documents(np.array(kept, np.int64)).hits()
            if len(hits) >= limit:
                break
            num_seen += len(best.ids)
            wanted *= 4
            if wanted > max(MAX_LOOKED_UP, FIRST_LOOK * limit) and num_seen < len(matches.ids):
                return None
        return hits[:limit]


async def _num_after(session: AsyncSession, chunk_id: int) -> int:
    """Up to one more than a search takes in."""
    later = select(models.Chunk.id).where(models.Chunk.id > chunk_id).limit(FOLLOWED + 1)
    return await session.scalar(select(func.count()).select_from(later.subquery())) or 0


async def _chunk_ids(session: AsyncSession) -> Ids:
    joined = select(func.aggregate_strings(cast(models.Chunk.id, String), " "))
    return np.array((await session.scalar(joined) or "").split(), np.int64)
