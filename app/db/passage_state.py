"""What tells whether a copy of the passages in memory is what a transaction sees of them.

A passage never changes and no id is given twice. On SQLite the highest id ever given and the counts
of the full-text index say it, which cost nothing to read. On PostgreSQL a row counts the
transactions that added or removed passages (migration 0014). No two that wrote at the same time can
both commit a change of that row, so ids become visible in rising order there too.
"""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models

_SQLITE = text(
    "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'chunks') AS last_id, "
    "(SELECT block FROM chunks_fts_data WHERE id = 1) AS totals"
)
_POSTGRES = text("SELECT number FROM passage_changes")
_TURN = text("LOCK TABLE passage_changes IN EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class State:
    """Where two are equal, the passages are the same. `age` never falls from one commit to the
    next; the counts are None where they have to be asked for (`num_passages_in`)."""

    age: int
    num_passages: int | None = None
    num_words: int | None = None


async def state_of(session: AsyncSession, *, is_sqlite: bool) -> State:
    if not is_sqlite:
        return State(await session.scalar(_POSTGRES) or 0)
    row = (await session.execute(_SQLITE)).one()
    num_passages, *sizes = varints(row.totals or b"") or [0]
    return State(row.last_id or 0, num_passages, sum(sizes))


async def take_turn(session: AsyncSession) -> None:
    """First in every transaction that adds or removes passages: those wait for one another, where
    PostgreSQL would send one back with a conflict. Reading goes on. SQLite has one writer only."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(_TURN)  # takes no snapshot yet: it must see what it waited for


async def num_passages_in(session: AsyncSession) -> int:
    """Some 10 ms for 100,000."""
    return await session.scalar(select(func.count()).select_from(models.Chunk)) or 0


def varints(data: bytes) -> list[int]:
    """SQLite's numbers: seven bits a byte, the highest first; of a ninth byte all eight."""
    found, value, length = [], 0, 0
    for byte in data:
        length += 1
        value = value << 8 | byte if length == 9 else value << 7 | byte & 0x7F
        if byte < 0x80 or length == 9:
            found.append(value)
            value, length = 0, 0
    return found
