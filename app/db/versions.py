"""Documents that are replaced and removed while others search: tombstones and new versions.

A document is `live`, or `staged` (a new version on its way; nobody finds it), or `deleting` (nobody
finds it any more; a job takes it away). Each change is one transaction.
"""

import hashlib
import mimetypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Text, cast, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import job_items, models
from app.db.facts import copy_facts, set_facts
from app.db.job_rows import RANK_DELETE, ItemState, NewJob
from app.db.jobs import retry_document
from app.db.rows import NO_FACTS, DocumentFacts, Json
from app.db.session import Database, retried
from app.errors import CollectionNotFound, PreconditionFailed

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NewVersion:
    """`external_id` is the sender's name for it, within a collection and a source."""

    collection_id: int
    source_id: int
    external_id: str
    name: str
    body: bytes
    media_type: str | None
    facts: DocumentFacts = NO_FACTS


@dataclass(frozen=True, slots=True)
class Put:
    document_id: int
    outcome: Literal["created", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class Held:
    external_id: str
    document_id: int
    sha256: str  # of the bytes
    is_failed: bool  # nobody finds it; its bytes have to be sent again


@dataclass(frozen=True, slots=True)
class Swap:
    """What a vector index has to take out and in when a new version goes live."""

    collection_id: int
    old_chunk_ids: tuple[int, ...]
    chunk_ids: tuple[int, ...]
    vectors: Float32Array  # [n, d]


async def tombstone(
    session: AsyncSession, document_ids: Sequence[int], payload: Json, job_id: str | None = None
) -> str | None:
    """Nobody finds these documents from here on; the job that takes them away. None: there is none.

    Their digest is put aside, so that the same bytes can come again meanwhile.
    """
    document = models.Document
    found = select(document.id, document.collection_id).where(
        document.id.in_(document_ids), document.visibility != "deleting"
    )
    rows = (await session.execute(found.order_by(document.id))).all()
    if not rows:
        return None
    new = NewJob("delete", rows[0].collection_id, payload, RANK_DELETE)
    if job_id is not None:
        new = NewJob("delete", rows[0].collection_id, payload, RANK_DELETE, id=job_id)
    await session.execute(
        update(document)
        .where(document.id.in_([row.id for row in rows]))
        .values(
            visibility="deleting",
            sha256=literal("deleted:") + cast(document.id, Text) + ":" + document.sha256,
        ),
        execution_options=job_items.QUIET,
    )
    await job_items.enqueue(session, new)
    for row in rows:
        await job_items.settle_documents(session, [row.id], "cancelled", "it was deleted")
        await job_items.add_item(session, new.id, f"document {row.id}", row.id)
    return new.id


async def go_live(session: AsyncSession, document_id: int) -> Swap | None:
    """Where the document is a staged version: it is found from here on, its older ones no more."""
    document = await session.get(models.Document, document_id)
    if document is None or document.visibility != "staged":
        return None
    older = (
        await session.scalars(
            select(models.Document.id).where(
                *same_name(document.collection_id, document.source_id, document.external_id),
                models.Document.id < document_id,
            )
        )
    ).all()
    old_chunk_ids = await _chunk_ids(session, older)
    document.visibility = "live"
    await session.flush()
    await tombstone(session, older, {"reason": "replaced", "by": document_id})
    rows = (
        await session.execute(
            select(models.Embedding.chunk_id, models.Embedding.vector)
            .join(models.Chunk)
            .where(models.Chunk.document_id == document_id)
            .order_by(models.Embedding.chunk_id)
        )
    ).all()
    flat = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").astype(np.float32)
    vectors = flat.reshape(len(rows), -1) if rows else np.zeros((0, 0), np.float32)
    ids = tuple(row.chunk_id for row in rows)
    return Swap(document.collection_id, tuple(old_chunk_ids), ids, vectors)


async def take_name(session: AsyncSession, document_id: int, sent: models.Document) -> None:
    """A document that had failed is tried again as what it is called now: another name or type may
    be why it can be read."""
    document = models.Document
    await session.execute(
        update(document)
        .where(document.id == document_id, document.state == "failed")
        .values(name=sent.name, media_type=sent.media_type),
        execution_options=job_items.QUIET,
    )


def same_name(
    collection_id: int, source_id: int, external_id: str | None
) -> tuple[ColumnElement[bool], ...]:
    """Conditions: every version of what its sender calls so, without those being deleted."""
    document = models.Document
    return (
        document.collection_id == collection_id,
        document.source_id == source_id,
        document.external_id == external_id,
        document.visibility != "deleting",
    )


async def _chunk_ids(session: AsyncSession, document_ids: Sequence[int]) -> list[int]:
    statement = select(models.Chunk.id).where(models.Chunk.document_id.in_(document_ids))
    return list(await session.scalars(statement.order_by(models.Chunk.id)))


class Versions:
    """Documents that their senders name; putting one under a known name replaces it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def put(self, new: NewVersion, job_id: str, if_match: str | None = None) -> Put:
        """Commit a version, which is found once it is indexed; the older one until then.

        Bytes that are there already under that name stay as they are. `if_match` is an entity tag
        that the present version must have, `*` any version, and "" that there is none.
        """
        key = content_key(new.body, new.external_id)
        async with self._database.transaction() as session:
            rows = await _versions(session, new)
            _check_match(rows, if_match)
            same = next((row for row in rows if row.sha256 == key), None)
            newer = [row.id for row in rows if row.visibility == "staged" and row is not same]
            await tombstone(session, newer, {"reason": "replaced"})
            if same is not None:
                await set_facts(session, same.id, new.facts)
                await take_name(session, same.id, _new_document(new, key, same.visibility))
                if same.state == "failed":
                    await retry_document(session, same.id)
                await _add_item(
                    session, job_id, same, "skipped" if same.state == "ready" else "queued"
                )
                return Put(same.id, "unchanged")
            has_live = any(row.visibility == "live" for row in rows)
            document = _new_document(new, key, "staged" if has_live else "live")
            session.add(document)
            await session.flush()
            session.add(models.DocumentBody(document_id=document.id, body=new.body))
            if rows:  # what is not said again stays as it was, above all who may read it
                await copy_facts(session, max(row.id for row in rows), document.id)
            await set_facts(session, document.id, new.facts)
            await _add_item(session, job_id, document, "queued")
            return Put(document.id, "replaced" if has_live else "created")

    async def held(self, collection_id: int, source_id: int, prefix: str) -> list[Held]:
        """The newest version of each name that begins so."""
        document = models.Document
        statement = (
            select(document.external_id, document.id, document.sha256, document.state)
            .where(
                document.collection_id == collection_id,
                document.source_id == source_id,
                document.external_id.startswith(prefix, autoescape=True),
                document.visibility != "deleting",
            )
            .order_by(document.id)
        )
        async with self._database.session() as session:
            newest = {row.external_id: row for row in await session.execute(statement)}
        return [
            Held(name, row.id, row.sha256.partition(":")[0], row.state == "failed")
            for name, row in newest.items()
        ]

    async def ids(self, collection_id: int, source_id: int, names: Sequence[str]) -> list[int]:
        """Every version of what is called so."""
        document = models.Document
        found: list[int] = []
        async with self._database.session() as session:
            for start in range(0, len(names), 500):
                statement = select(document.id).where(
                    document.collection_id == collection_id,
                    document.source_id == source_id,
                    document.external_id.in_(names[start : start + 500]),
                    document.visibility != "deleting",
                )
                found += await session.scalars(statement)
        return found


def content_key(body: bytes, external_id: str | None) -> str:
    """What tells bytes apart; under different names of their sender the same ones are different."""
    digest = hashlib.sha256(body).hexdigest()
    if external_id is None:
        return digest
    return f"{digest}:{hashlib.sha256(external_id.encode('utf-8', 'replace')).hexdigest()}"


def entity_tag(document_id: int, sha256: str) -> str:
    """Changes with every version of a document."""
    return f'"{document_id}-{sha256[:16]}"'


def _check_match(rows: Sequence[models.Document], if_match: str | None) -> None:
    """Against the newest version that was taken in, found or not: with the tag of an older one its
    sender would undo a version it never saw."""
    if if_match is None:
        return
    newest = max(rows, key=lambda row: row.id, default=None)
    tag = "" if newest is None else entity_tag(newest.id, newest.sha256)
    tags = {part.strip() for part in if_match.split(",")}
    if (if_match == "*" and newest is not None) or tag in tags:
        return
    if if_match == "":
        raise PreconditionFailed("there is a document of that name already")
    raise PreconditionFailed(f"the document is {tag or 'not there'} by now, not {if_match}")


async def _versions(session: AsyncSession, new: NewVersion) -> list[models.Document]:
    if await session.get(models.Collection, new.collection_id) is None:
        raise CollectionNotFound(f"there is no collection {new.collection_id}")
    where = same_name(new.collection_id, new.source_id, new.external_id)
    return list(await session.scalars(select(models.Document).where(*where)))


def _new_document(new: NewVersion, key: str, visibility: str) -> models.Document:
    return models.Document(
        collection_id=new.collection_id,
        source_id=new.source_id,
        name=new.name,
        title=new.name,
        media_type=new.media_type
        or mimetypes.guess_type(new.name)[0]
        or "application/octet-stream",
        size_bytes=len(new.body),
        sha256=key,
        state="received",
        parse_attempts=0,
        created_at=time.time(),
        external_id=new.external_id,
        visibility=visibility,
    )


async def _add_item(
    session: AsyncSession, job_id: str, document: models.Document, state: ItemState
) -> None:
    await job_items.enqueue(session, NewJob("ingest", document.collection_id, id=job_id))
    await job_items.add_item(session, job_id, document.name, document.id, state)
