"""What a sender says of a document: tags, its date, who may read it. Knows no search."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import ScalarSelect, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from app.db.rows import DocumentFacts
from app.errors import InvalidValue

MAX_TAGS = 32
MAX_TAG_LEN = 64

_SEPARATOR = "\n"  # not printable, so in no tag


def make_facts(
    tags: Iterable[str] = (), day: str | None = None, acl_class: str | None = None
) -> DocumentFacts:
    """Checked as they come from outside. Raises `InvalidValue`."""
    return DocumentFacts(check_tags(tags), None if day is None else check_date(day), acl_class)


def check_tags(tags: Iterable[str]) -> frozenset[str]:
    """Without surrounding space and without empty ones."""
    found = frozenset(tag.strip() for tag in tags) - {""}
    if len(found) > MAX_TAGS:
        raise InvalidValue(f"{len(found)} tags are too many; {MAX_TAGS} may be given")
    for tag in found:
        if len(tag) > MAX_TAG_LEN or not tag.isprintable() or "," in tag:
            raise InvalidValue(
                f"{tag[:MAX_TAG_LEN]!r} cannot be a tag; use 1 to {MAX_TAG_LEN} printable "
                "characters without a comma"
            )
    return found


def check_date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidValue(f"{text[:40]!r} is not a date; write it as 2026-11-22") from None


async def set_facts(session: AsyncSession, document_id: int, facts: DocumentFacts) -> None:
    """Replace those that are given; the others stay as they are."""
    given = {"date": facts.date, "acl_class": facts.acl_class}
    values = {name: value for name, value in given.items() if value is not None}
    if values:
        document = update(models.Document).where(models.Document.id == document_id)
        await session.execute(document.values(values))
    if facts.tags:
        tag = models.DocumentTag
        await session.execute(delete(tag).where(tag.document_id == document_id))
        rows = [{"document_id": document_id, "tag": name} for name in sorted(facts.tags)]
        await session.execute(insert(tag), rows)


async def copy_facts(session: AsyncSession, from_id: int, to_id: int) -> None:
    """A new version has those of the one before."""
    document, tag = models.Document, models.DocumentTag
    old = (
        await session.execute(
            select(document.date, document.acl_class).where(document.id == from_id)
        )
    ).one()
    tags = await session.scalars(select(tag.tag).where(tag.document_id == from_id))
    facts = DocumentFacts(frozenset(tags), old.date, old.acl_class)
    await set_facts(session, to_id, facts)


def joined_tags() -> ScalarSelect[str]:
    """All tags of a document as one value, for `split_tags`."""
    tag = models.DocumentTag
    names = func.aggregate_strings(tag.tag, _SEPARATOR)
    return select(names).where(tag.document_id == models.Document.id).scalar_subquery()


def split_tags(joined: str | None) -> tuple[str, ...]:
    return tuple(sorted(joined.split(_SEPARATOR))) if joined else ()
