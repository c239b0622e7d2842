"""Search by words over SQLite's full-text index. Any text is a valid question; none is a query."""

from sqlalchemy import text

from app.db.session import Database
from retrieval.segmentation import query_words

MAX_WORDS = 64  # a pasted page as a question: the first words say enough and the rest costs time

# A word in the label, which is the title and the headings, counts twice: nDCG@10 of words alone
# 0.901 to 0.912 on questions about titled articles, and no loss elsewhere (docs/log.md).
SEARCH = text(
    """
    SELECT chunks_fts.rowid AS chunk_id, -bm25(chunks_fts, 2.0) AS score
    FROM chunks_fts
    JOIN chunks ON chunks.id = chunks_fts.rowid
    JOIN documents ON documents.id = chunks.document_id
    WHERE chunks_fts MATCH :match AND documents.collection_id = :collection_id
        AND documents.visibility = 'live'
    ORDER BY score DESC, chunk_id
    LIMIT :limit
    """
)


class LexicalSearch:
    """Implements `retrieval.protocols.LexicalIndex`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, text: str, collection_id: int, limit: int) -> list[tuple[int, float]]:
        match = match_expression(text)
        if not match or limit < 1:
            return []
        values = {"match": match, "collection_id": collection_id, "limit": limit}
        async with self._database.session() as session:
            rows = await session.execute(SEARCH, values)
            return [(row.chunk_id, row.score) for row in rows]


def match_expression(question: str) -> str:
    """Every distinct word quoted and joined by OR, so nothing in it acts as an operator."""
    return " OR ".join(f'"{word}"' for word in query_words(question)[:MAX_WORDS])
