"""Requests that came with a key, so that the same one twice does its work once."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select

from app.db import models
from app.db.session import Database, retried
from app.errors import KeyInUse, KeyReused

KEEP_S = 86400.0
# A process of another machine that has not answered for so long will not do so any more.
ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str  # JSON


class IdempotencyKeys:
    """`node` is the data directory, which only one process at a time works on; `process` it."""

    def __init__(self, database: Database, node: str, process: str) -> None:
        self._database = database
        self._node = node
        self._owner = f"{node}/{process}"

    @retried
    async def begin(self, key: str, digest: str) -> Answer | None:
        """The answer that was given; None where this request is to be answered now.

        Raises `KeyReused` where `digest`, of the request, is another one, and `KeyInUse` while the
        first one is being answered. What a dead process was at is answered anew.
        """
        async with self._database.transaction() as session:
            now = time.time()
            old = models.IdempotencyKey.created_at < now - KEEP_S
            await session.execute(delete(models.IdempotencyKey).where(old))
            known = await session.get(models.IdempotencyKey, key)
            if known is not None and known.digest != digest:
                raise KeyReused(
                    "this Idempotency-Key came with another request before; use a new one"
                )
            if known is None:
                row = models.IdempotencyKey(
                    key=key,
                    digest=digest,
                    owner=self._owner,
                    headers_json="{}",
                    body="",
                    created_at=now,
                )
                session.add(row)
                return None
            if known.status is not None:
                return Answer(known.status, json.loads(known.headers_json), known.body)
            if not self._is_dead(known, now):
                raise KeyInUse("a request with this Idempotency-Key is being answered; try later")
            known.owner, known.created_at = self._owner, now
            return None

    @retried
    async def finish(self, key: str, answer: Answer) -> None:
        async with self._database.transaction() as session:
            row = await session.scalar(
                select(models.IdempotencyKey).where(models.IdempotencyKey.key == key)
            )
            if row is not None:
                row.status, row.body = answer.status, answer.body
                row.headers_json = json.dumps(dict(answer.headers))

    @retried
    async def drop(self, key: str) -> None:
        """The request failed; it may be made again."""
        async with self._database.transaction() as session:
            await session.execute(
                delete(models.IdempotencyKey).where(models.IdempotencyKey.key == key)
            )

    def _is_dead(self, known: models.IdempotencyKey, now: float) -> bool:
        is_ours = known.owner.startswith(f"{self._node}/") and known.owner != self._owner
        return is_ours or now - known.created_at > ABANDONED_S
