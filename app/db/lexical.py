"""Search by words over SQLite's full-text index. Any text is a valid question; none is a query."""

import re
import unicodedata

from sqlalchemy import ColumnElement, column, func, literal_column, select, table

from app.db import models
from app.db.folding import MAX_WORDS
from app.db.lexical_postgres import PostgresLexicalSearch
from app.db.selection import conditions
from app.db.session import Database, Statement
from retrieval.protocols import LexicalIndex
from retrieval.types import NO_FILTER, Filter

# Letters and digits of any script: what the index's tokenizer keeps too.
WORD = re.compile(r"[^\W_]+")
FTS = table("chunks_fts", column("rowid"))


class LexicalSearch:
    """Implements `retrieval.protocols.LexicalIndex`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self, text: str, collection_id: int, limit: int, filter_: Filter = NO_FILTER
    ) -> list[tuple[int, float]]:
        match = match_expression(text)
        if not match or limit < 1:
            return []
        statement = _search(match, conditions(collection_id, filter_)).limit(limit)
        async with self._database.session() as session:
            return [(row.chunk_id, row.score) for row in await session.execute(statement)]


def lexical_search(database: Database) -> LexicalIndex:
    """The one that belongs to the engine."""
    return LexicalSearch(database) if database.is_sqlite else PostgresLexicalSearch(database)


def match_expression(question: str) -> str:
    """Every distinct word quoted and joined by OR, so nothing in it acts as an operator."""
    normal = unicodedata.normalize("NFC", question).lower()  # as the index: ß stays
    words = list(dict.fromkeys(WORD.findall(normal)))[:MAX_WORDS]
    return " OR ".join(f'"{word}"' for word in words)


def _search(match: str, wanted: list[ColumnElement[bool]]) -> Statement:
    chunk, document, source = models.Chunk, models.Document, models.Source
    rank = func.bm25(literal_column("chunks_fts"))  # lower is better
    return (
        select(FTS.c.rowid.label("chunk_id"), (-rank).label("score"))
        .join(chunk, chunk.id == FTS.c.rowid)
        .join(document, document.id == chunk.document_id)
        .join(source, source.id == document.source_id)
        .where(literal_column("chunks_fts").op("MATCH")(match), *wanted)
        .order_by(rank, FTS.c.rowid)
    )
