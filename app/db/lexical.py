"""Search by words over SQLite's full-text index. Any text is a valid question; none is a query."""

from sqlalchemy import ColumnElement, column, func, literal_column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.lexical_database import DatabaseSearch
from app.db.lexical_postgres import MAX_WORDS, PostgresLexicalSearch
from app.db.selection import conditions
from app.db.session import Database, Statement
from retrieval.segmentation import query_words
from retrieval.types import Filter

FOREIGN_HITS = 4  # times as many are looked at, since some may be of other collections
# A word in the label, which is the title and the headings, counts twice: nDCG@10 of words alone
# 0.901 to 0.912 on questions about titled articles, and no loss elsewhere (docs/log.md).
LABEL_WEIGHT = 2.0
FTS = table("chunks_fts", column("rowid"))


class LexicalSearch(DatabaseSearch):
    """By SQLite's full-text index."""

    async def search_in(
        self,
        session: AsyncSession,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter,
    ) -> list[tuple[int, float]]:
        match = match_expression(text)
        if not match or limit < 1:
            return []
        if filter_.is_empty:
            hits = await _of_collection(session, match, collection_id, limit)
            if hits is not None:
                return hits
        statement = _search(match, conditions(collection_id, filter_)).limit(limit)
        return [(row.chunk_id, row.score) for row in await session.execute(statement)]


def lexical_search(database: Database) -> DatabaseSearch:
    """The one that belongs to the engine."""
    return LexicalSearch(database) if database.is_sqlite else PostgresLexicalSearch(database)


def asked_words(question: str) -> list[str]:
    """The distinct words that a question is searched by."""
    return query_words(question)[:MAX_WORDS]


def match_expression(question: str) -> str:
    """Every word quoted and joined by OR, so nothing in it acts as an operator."""
    return " OR ".join(f'"{word}"' for word in asked_words(question))


async def _of_collection(
    session: AsyncSession, match: str, collection_id: int, limit: int
) -> list[tuple[int, float]] | None:
    """The best of all collections first, then which of them are of this one: it halves the time,
    since a common word is in thousands of chunks and only a few have to be looked up. None where
    other collections' chunks left too few.
    """
    rank = func.bm25(literal_column("chunks_fts"), LABEL_WEIGHT)
    best = select(FTS.c.rowid.label("chunk_id"), (-rank).label("score"))
    best = best.where(literal_column("chunks_fts").op("MATCH")(match))
    wanted = FOREIGN_HITS * limit
    found = (await session.execute(best.order_by(rank, FTS.c.rowid).limit(wanted))).all()
    chunk, document = models.Chunk, models.Document
    mine = select(chunk.id).join(document, document.id == chunk.document_id)
    mine = mine.where(
        document.collection_id == collection_id,
        document.visibility == "live",
        chunk.id.in_([row.chunk_id for row in found]),
    )
    kept = set(await session.scalars(mine))
    hits = [(row.chunk_id, row.score) for row in found if row.chunk_id in kept]
    return hits[:limit] if len(hits) >= limit or len(found) < wanted else None


def _search(match: str, wanted: list[ColumnElement[bool]]) -> Statement:
    chunk, document, source = models.Chunk, models.Document, models.Source
    rank = func.bm25(literal_column("chunks_fts"), LABEL_WEIGHT)  # lower is better
    return (
        select(FTS.c.rowid.label("chunk_id"), (-rank).label("score"))
        .join(chunk, chunk.id == FTS.c.rowid)
        .join(document, document.id == chunk.document_id)
        .join(source, source.id == document.source_id)
        .where(literal_column("chunks_fts").op("MATCH")(match), *wanted)
        .order_by(rank, FTS.c.rowid)
    )
