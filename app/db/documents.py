"""Documents: accepted bytes, their state on the way to `ready`, and their complete removal."""

import hashlib
import mimetypes
import time
from collections.abc import Sequence

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import job_items, models, tokens
from app.db.blocks import pack as pack_blocks
from app.db.blocks import unpack as unpack_blocks
from app.db.collections import total
from app.db.facts import joined_tags, set_facts, split_tags
from app.db.job_rows import ItemState, NewJob
from app.db.jobs import retry_document
from app.db.lexical_postgres import index_words
from app.db.passage_state import take_turn
from app.db.rows import NO_FACTS, DocumentFacts, DocumentRow, DocumentState
from app.db.session import Database, Statement, retried
from app.db.versions import Swap, go_live, take_name
from app.errors import CollectionNotFound, DocumentNotFound
from retrieval.types import Block, Chunk, Document

PENDING: tuple[DocumentState, ...] = ("received", "chunked", "indexed")

Rows = list[DocumentRow]


class Documents:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def add(
        self,
        collection_id: int,
        source_id: int,
        name: str,
        body: bytes,
        media_type: str | None,
        job_id: str | None = None,
        facts: DocumentFacts = NO_FACTS,
    ) -> tuple[DocumentRow, bool]:
        """Commit the bytes. The same bytes from the same source are one document: (it, False).

        With a `job_id`, the same transaction makes the document an item of that job, and the job
        if need be; a document that had failed is tried again, under the name and type it has now.
        Facts that are given replace those of before.
        """
        document = models.Document(
            collection_id=collection_id,
            source_id=source_id,
            name=name,
            title=name,
            media_type=media_type or mimetypes.guess_type(name)[0] or "application/octet-stream",
            size_bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            state="received",
            parse_attempts=0,
            created_at=time.time(),
        )
        async with self._database.transaction() as session:
            if await session.get(models.Collection, collection_id) is None:
                raise CollectionNotFound(f"there is no collection {collection_id}")
            known = await session.scalar(_same_document(document))
            if known is None:
                session.add(document)
                await session.flush()
                session.add(models.DocumentBody(document_id=document.id, body=body))
            document_id = document.id if known is None else known
            if known is not None:
                await take_name(session, known, document)
            await set_facts(session, document_id, facts)
            if job_id is not None:
                await _hand_over(session, job_id, document_id)
        return await self.get(document_id), known is None

    async def get(self, document_id: int) -> DocumentRow:
        rows = await self._rows(_counted().where(models.Document.id == document_id))
        if not rows:
            raise _not_found(document_id)
        return rows[0]

    async def text(self, document_id: int) -> tuple[str, str]:
        """(title, text) of a parsed document; the text is empty before that."""
        document = models.Document
        statement = select(document.title, document.text).where(
            document.id == document_id, document.visibility != "deleting"
        )
        async with self._database.session() as session:
            row = (await session.execute(statement)).first()
        if row is None:
            raise _not_found(document_id)
        return row.title, row.text or ""

    async def blocks(self, document_id: int) -> list[Block]:
        """In order; none before it is parsed, nor of documents parsed before blocks were kept."""
        await self.text(document_id)  # raises where there is none to be shown
        async with self._database.session() as session:
            kept = await session.get(models.DocumentBlocks, document_id)
        return unpack_blocks(kept.blocks) if kept is not None else []

    async def body(self, document_id: int) -> bytes:
        """The uploaded bytes, which exist until `save_parsed`."""
        async with self._database.session() as session:
            body = await session.get(models.DocumentBody, document_id)
        if body is None:
            raise DocumentNotFound(f"there are no bytes of document {document_id}")
        return body.body

    async def pending(self) -> Sequence[int]:
        """Documents on their way to `ready`, oldest first."""
        statement = select(models.Document.id).where(models.Document.state.in_(PENDING))
        async with self._database.session() as session:
            return list(await session.scalars(statement.order_by(models.Document.id)))

    @retried
    async def begin_parse(self, document_id: int) -> int:
        """Count an attempt before it is made, so that bytes which kill the process are noticed."""
        document = models.Document
        statement = (
            update(document)
            .where(document.id == document_id)
            .values(parse_attempts=document.parse_attempts + 1)
            .returning(document.parse_attempts)
        )
        async with self._database.transaction() as session:
            attempts = await session.scalar(statement)
        if attempts is None:
            raise _not_found(document_id)
        return attempts

    @retried
    async def save_parsed(
        self, document_id: int, document: Document, chunks: Sequence[Chunk]
    ) -> None:
        """Text and chunks in, bytes out, state `chunked`: all or nothing, and only once."""
        statement = (
            update(models.Document)
            .where(models.Document.id == document_id, models.Document.state == "received")
            .values(
                title=document.title,
                text=document.text,
                media_type=document.media_type,
                state="chunked",
            )
            .returning(models.Document.id)
        )
        async with self._database.transaction() as session:
            await take_turn(session)
            if await session.scalar(statement) is None:
                raise DocumentNotFound(f"there is no unparsed document {document_id}")
            blocks = models.DocumentBlocks(
                document_id=document_id, blocks=pack_blocks(document.blocks)
            )
            session.add(blocks)
            if chunks:
                values = [_chunk_values(document_id, chunk) for chunk in chunks]
                await session.execute(insert(models.Chunk), values)
                if not self._database.is_sqlite:  # where triggers do it
                    await index_words(session, document_id)
            await session.execute(
                delete(models.DocumentBody).where(models.DocumentBody.document_id == document_id)
            )

    @retried
    async def mark_indexed(
        self, document_ids: Sequence[int], *, is_ready: bool = False
    ) -> list[Swap]:
        """They can be found from here on, and are `ready` where nothing is left to do. New versions
        take the place of older ones in the same transaction; what the vector indexes have to
        follow is returned, in order."""
        document = models.Document
        statement = update(document).where(
            document.id.in_(document_ids), document.state == "chunked"
        )
        async with self._database.transaction() as session:
            await session.execute(statement.values(state="ready" if is_ready else "indexed"))
            if is_ready:
                await job_items.settle_documents(session, document_ids, "done")
            swaps = [await go_live(session, document_id) for document_id in document_ids]
        return [swap for swap in swaps if swap is not None]

    @retried
    async def mark_ready(self, document_id: int) -> None:
        """Its items in jobs are done with it, in the same transaction."""
        document = models.Document
        statement = update(document).where(document.id == document_id, document.state == "indexed")
        async with self._database.transaction() as session:
            await session.execute(statement.values(state="ready"))
            await job_items.settle_documents(session, [document_id], "done")

    @retried
    async def mark_failed(self, document_id: int, error: str) -> None:
        """Its items in jobs fail with it, in the same transaction."""
        statement = update(models.Document).where(models.Document.id == document_id)
        async with self._database.transaction() as session:
            await session.execute(statement.values(state="failed", error=error))
            await job_items.settle_documents(session, [document_id], "failed", error)

    async def list(
        self, collection_id: int, limit: int, after_id: int | None = None
    ) -> tuple[Rows, bool]:
        """Newest first; `after_id` is the last one of the page before. (rows, has more)."""
        statement = _counted().where(models.Document.collection_id == collection_id)
        if after_id is not None:
            statement = statement.where(models.Document.id < after_id)
        rows = await self._rows(statement.order_by(models.Document.id.desc()).limit(limit + 1))
        return rows[:limit], len(rows) > limit

    async def _rows(self, statement: Statement) -> Rows:
        async with self._database.session() as session:
            rows = (await session.execute(statement)).mappings()
            return [DocumentRow(**dict(row) | {"tags": split_tags(row["tags"])}) for row in rows]


async def _hand_over(session: AsyncSession, job_id: str, document_id: int) -> None:
    """Make the document an item of the job; what is ready already is skipped."""
    document = await session.get_one(models.Document, document_id)
    await job_items.enqueue(session, NewJob("ingest", document.collection_id, id=job_id))
    if document.state == "failed":
        await retry_document(session, document_id)
    state: ItemState = "skipped" if document.state == "ready" else "queued"
    await job_items.add_item(session, job_id, document.name, document_id, state)


def _not_found(document_id: int) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {document_id}")


def _same_document(document: models.Document) -> Select[int]:
    return select(models.Document.id).where(
        models.Document.collection_id == document.collection_id,
        models.Document.source_id == document.source_id,
        models.Document.sha256 == document.sha256,
    )


def _chunk_values(document_id: int, chunk: Chunk) -> dict[str, object]:
    packed = tokens.pack(chunk.token_ids)
    return {
        "document_id": document_id,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
        "label": chunk.label,
        "text": chunk.text,
        "token_ids": packed,
        "tokens_sha256": tokens.digest(packed),
        "num_tokens": len(chunk.token_ids),
        "is_cached": False,
    }


def _counted() -> Statement:
    document, chunk = models.Document, models.Chunk
    mine = select(func.count()).select_from(chunk).where(chunk.document_id == document.id)
    tokens_sum = select(total(chunk.num_tokens))
    counts = {
        "chunks": mine,
        "chunks_embedded": mine.join(models.Embedding),
        "chunks_cached": mine.where(chunk.is_cached),
        "tokens": tokens_sum.where(chunk.document_id == document.id),
    }
    return (
        select(
            document.id,
            document.collection_id,
            document.source_id,
            models.Source.name.label("source"),
            document.name,
            document.title,
            document.media_type,
            document.size_bytes,
            document.state,
            document.error,
            document.created_at,
            document.date,
            document.acl_class,
            joined_tags().label("tags"),
            document.external_id,
            document.sha256,
            document.visibility,
            *(count.scalar_subquery().label(name) for name, count in counts.items()),
        )
        .join(models.Source)
        .where(document.visibility != "deleting")
    )
