"""Search by words on PostgreSQL: a tsvector a chunk under a GIN index, folded here and not there.

`ts_rank` knows no rarity, so each word's rank is weighed by its inverse document frequency. For
one word the rank rises with its occurrences, saturates and falls with the chunk's length, as BM25.
"""

import math
from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    MetaData,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy import Column as TableColumn
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, TSQUERY, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.lexical_database import DatabaseSearch
from app.db.selection import conditions
from app.db.session import Statement
from retrieval.segmentation import indexed_words, query_words
from retrieval.types import Filter

MAX_WORDS = 64  # a pasted page as a question: the first words say enough and the rest costs time

# Beside the models: only PostgreSQL has it.
CHUNK_WORDS = Table(
    "chunk_words",
    MetaData(),
    TableColumn("chunk_id", BigInteger, primary_key=True),
    TableColumn("words", TSVECTOR),
)

# What a tsvector holds at most: bytes of a word, occurrences of one, and the last position.
_MAX_WORD_LEN = 500
_MAX_OCCURRENCES = 255
_MAX_POSITION = 16_383

_BY_LENGTH = 1  # ts_rank's option: divide by 1 + log(number of words)


class PostgresLexicalSearch(DatabaseSearch):
    """By PostgreSQL's text search."""

    async def search_in(
        self,
        session: AsyncSession,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter,
    ) -> list[tuple[int, float]]:
        words = list(dict.fromkeys(map(_cut, query_words(text))))[:MAX_WORDS]
        weights = await _weights(session, words) if words and limit > 0 else {}
        if not weights:
            return []
        statement = _search(weights, conditions(collection_id, filter_)).limit(limit)
        return [(row.chunk_id, row.score) for row in await session.execute(statement)]


async def index_words(session: AsyncSession, document_id: int) -> None:
    """Make the chunks of a document findable, in the transaction that stores them."""
    chunk = models.Chunk
    rows = await session.execute(
        select(chunk.id, chunk.label, chunk.text).where(chunk.document_id == document_id)
    )
    values = [{"number": row.id, "vector": to_vector(row.label, row.text)} for row in rows]
    statement = insert(CHUNK_WORDS).values(
        chunk_id=bindparam("number", type_=BigInteger),
        words=cast(bindparam("vector", type_=Text), TSVECTOR),
    )
    await session.execute(statement, values)


async def index_all_words(session: AsyncSession) -> None:
    """Once more, where words are folded another way now."""
    await session.execute(delete(CHUNK_WORDS))
    documents = select(models.Chunk.document_id).distinct().order_by(models.Chunk.document_id)
    for document_id in (await session.scalars(documents)).all():
        await index_words(session, document_id)


def to_vector(label: str, text: str) -> str:
    """A tsvector as PostgreSQL reads one: every word with the positions where it stands.

    Those of the label have the weight C, with which `ts_rank` counts a word twice.
    """
    places: dict[str, list[str]] = {}
    parts = [("C", word) for word in indexed_words(label)]
    parts += [("", word) for word in indexed_words(text)]
    for position, (weight, word) in enumerate(parts, start=1):
        found = places.setdefault(_cut(word), [])
        if len(found) < _MAX_OCCURRENCES:
            found.append(f"{min(position, _MAX_POSITION)}{weight}")
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())


def _cut(word: str) -> str:
    return word[:_MAX_WORD_LEN]


async def _weights(session: AsyncSession, words: Sequence[str]) -> dict[str, float]:
    """Rarity of each word that is anywhere at all, less those in over half of the chunks: they
    would cost the most and decide nothing. Where there are no others, they stay."""
    asked = _unnested(words, [0.0] * len(words))
    found = select(func.count()).where(CHUNK_WORDS.c.words.op("@@")(asked.c.word))
    counted = select(cast(asked.c.word, Text).label("word"), found.scalar_subquery().label("n"))
    counts = {row.word.strip("'"): row.n for row in await session.execute(counted)}
    num_chunks = await session.scalar(select(func.count()).select_from(CHUNK_WORDS)) or 0
    weights = {
        word: math.log(1 + (num_chunks - n + 0.5) / (n + 0.5)) for word, n in counts.items() if n
    }
    rare = {word: weight for word, weight in weights.items() if counts[word] <= num_chunks / 2}
    return rare or weights


def _search(weights: dict[str, float], wanted: list[ColumnElement[bool]]) -> Statement:
    chunk, document, source = models.Chunk, models.Document, models.Source
    asked = _unnested(list(weights), list(weights.values()))
    rank = func.ts_rank(CHUNK_WORDS.c.words, asked.c.word, _BY_LENGTH)
    score = select(func.sum(rank * asked.c.weight)).scalar_subquery().label("score")
    any_word = cast(bindparam("any", " | ".join(map(_quoted, weights)), Text), TSQUERY)
    return (
        select(CHUNK_WORDS.c.chunk_id, score)
        .join(chunk, chunk.id == CHUNK_WORDS.c.chunk_id)
        .join(document, document.id == chunk.document_id)
        .join(source, source.id == document.source_id)
        .where(CHUNK_WORDS.c.words.op("@@")(any_word), *wanted)
        .order_by(score.desc(), CHUNK_WORDS.c.chunk_id)
    )


def _unnested(words: Sequence[str], weights: Sequence[float]) -> TableValuedAlias:
    quoted = bindparam("words", list(map(_quoted, words)), ARRAY(Text))
    rarities = bindparam("weights", list(weights), ARRAY(DOUBLE_PRECISION))
    pairs = func.unnest(cast(quoted, ARRAY(TSQUERY)), rarities)
    columns = column("word", TSQUERY), column("weight", DOUBLE_PRECISION)
    return pairs.table_valued(*columns, name="asked").render_derived()


def _quoted(word: str) -> str:
    """Words are letters and digits, so there is nothing to escape."""
    return f"'{word}'"
