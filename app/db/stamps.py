"""What stored vectors, token ids and demo documents were made from; when that changes, they are
made anew.

Both changes are one transaction each, so a crash leaves either the old index or the new plan.
"""

from collections.abc import Callable

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models, tokens
from app.db.lexical_postgres import index_all_words
from app.db.session import Database, retried

EMBEDDER = "embedder"
EMBEDDER_REFERENCE = "embedder_reference"  # its setting, so that it can be loaded once more
WORDS = "words"
TOKENIZER = "tokenizer"
BATCH = 500  # chunks in memory at once

EncodePassage = Callable[[str, str], tuple[int, ...]]


class Stamps:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        async with self._database.session() as session:
            return await _known(session, name)

    @retried
    async def set(self, name: str, value: str) -> None:
        async with self._database.transaction() as session:
            await replace_stamp(session, name, value)

    @retried
    async def use_embedder(self, identity: str) -> bool:
        """True where another embedder was used before: its vectors are dropped, and documents go
        back to `chunked` to be embedded again."""
        async with self._database.transaction() as session:
            if not await replace_stamp(session, EMBEDDER, identity):
                return False
            await session.execute(delete(models.Embedding))
            await session.execute(
                update(models.Document)
                .where(models.Document.state.in_(("indexed", "ready")))
                .values(state="chunked")
            )
            return True

    @retried
    async def use_words(self, version: str) -> bool:
        """True where words were folded another way before: the index over them is made anew."""
        async with self._database.transaction() as session:
            if not await replace_stamp(session, WORDS, version):
                return False
            if self._database.is_sqlite:
                await session.execute(text("INSERT INTO chunks_fts(chunks_fts) VALUES ('rebuild')"))
            else:
                await index_all_words(session)
            return True

    @retried
    async def use_tokenizer(self, identity: str, encode_passage: EncodePassage) -> bool:
        """True where another tokenizer or decoder was used before: every chunk's token ids are
        computed again, documents go back to `indexed` for their KV, and the KV of the old ids is to
        be purged."""
        async with self._database.transaction() as session:
            if not await replace_stamp(session, TOKENIZER, identity):
                return False
            old = select(models.Chunk.token_ids, models.Chunk.tokens_sha256).distinct()
            await session.execute(
                insert(models.PendingPurge).from_select(["token_ids", "tokens_sha256"], old)
            )
            last_id = 0
            while rows := await _passages_after(session, last_id):
                for chunk_id, label, passage in rows:
                    await _set_tokens(session, chunk_id, encode_passage(label, passage))
                last_id = rows[-1][0]
            await session.execute(
                update(models.Document)
                .where(models.Document.state == "ready")
                .values(state="indexed")
            )
            return True


async def _known(session: AsyncSession, name: str) -> str | None:
    found: str | None = await session.scalar(
        select(models.Stamp.value).where(models.Stamp.name == name)
    )
    return found


async def replace_stamp(session: AsyncSession, name: str, value: str) -> bool:
    """Whether there was another value; the new one is set."""
    known = await _known(session, name)
    if known == value:
        return False
    statement = insert(models.Stamp).values(name=name, value=value)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
    return known is not None


async def _passages_after(session: AsyncSession, chunk_id: int) -> list[tuple[int, str, str]]:
    chunk = models.Chunk
    statement = select(chunk.id, chunk.label, chunk.text).where(chunk.id > chunk_id)
    rows = await session.execute(statement.order_by(chunk.id).limit(BATCH))
    return [(row.id, row.label, row.text) for row in rows]


async def _set_tokens(session: AsyncSession, chunk_id: int, token_ids: tuple[int, ...]) -> None:
    packed = tokens.pack(token_ids)
    await session.execute(
        update(models.Chunk)
        .where(models.Chunk.id == chunk_id)
        .values(
            token_ids=packed,
            tokens_sha256=tokens.digest(packed),
            num_tokens=len(token_ids),
            is_cached=False,
        ),
        execution_options={"synchronize_session": False},
    )
