"""The KV store's list of entries, kept in the same database; implements its `EntryIndex`.

Synchronous: the store works in threads. Never call it from the event loop, where waiting for the
writer that the loop is running would block both.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, create_engine, delete, make_url, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same

from app.db import models, postgres
from app.db.sqlite import WRITES, prepare, storage_errors
from kvstore.protocols import IndexedEntry, Uses

BATCH = 500  # digests named in one statement


class EntryRows:
    """Opened after `Database.open`, which makes the tables."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite"):
            self._engine = create_engine(make_url(url).set(drivername="sqlite"))
            # NORMAL: a power cut may lose the last rows, and the store takes such files in again.
            prepare(self._engine, synchronous="NORMAL")
            self._writes = self._engine.execution_options(**{WRITES: True})
            return
        # READ COMMITTED, the default: every statement stands for itself.
        self._engine = create_engine(
            postgres.sync_url(url), connect_args=postgres.sync_arguments(url), pool_pre_ping=True
        )
        self._writes = self._engine.execution_options()

    def record(
        self,
        *,
        digest: str,
        namespace: str,
        identity: str,
        content: str,
        context: str,
        preceding: str,
        num_tokens: int,
        num_bytes: int,
        now: float,
    ) -> None:
        statement = insert(models.KVEntry).values(
            digest=digest,
            namespace=namespace,
            identity=identity,
            content=content,
            context=context,
            preceding=preceding,
            num_tokens=num_tokens,
            num_bytes=num_bytes,
            created_at=now,
            last_used_at=now,
            uses=0,
            is_pinned=False,
        )
        statement = statement.on_conflict_do_update(
            index_elements=["digest"],
            set_={"namespace": namespace, "num_bytes": num_bytes, "last_used_at": now},
        )
        with storage_errors(), self._writes.begin() as connection:
            connection.execute(statement)

    def touch(self, uses: Mapping[str, Uses]) -> None:
        if not uses:
            return
        entry = models.KVEntry
        statement = (
            update(entry.__table__)  # type: ignore[arg-type]
            .where(entry.digest == bindparam("used"))
            .values(last_used_at=bindparam("last_at"), uses=entry.uses + bindparam("times"))
        )
        # In one order: two that touch the same rows then never wait for each other.
        rows = [
            {"used": digest, "last_at": more.last_at, "times": more.times}
            for digest, more in sorted(uses.items())
        ]
        with storage_errors(), self._writes.begin() as connection:
            connection.execute(statement, rows)

    def forget(self, digests: Sequence[str]) -> None:
        with storage_errors(), self._writes.begin() as connection:
            for batch in _batches(digests):
                connection.execute(delete(models.KVEntry).where(models.KVEntry.digest.in_(batch)))

    def pin(self, digest: str, pinned: bool) -> None:
        statement = update(models.KVEntry).where(models.KVEntry.digest == digest)
        with storage_errors(), self._writes.begin() as connection:
            connection.execute(statement.values(is_pinned=pinned))

    def rows(self) -> Sequence[IndexedEntry]:
        entry = models.KVEntry
        statement = select(
            entry.digest,
            entry.content,
            entry.preceding,
            entry.num_tokens,
            entry.num_bytes,
            entry.last_used_at,
            entry.uses,
            entry.is_pinned.label("pinned"),
            entry.namespace,
            entry.identity,
        )
        with self._engine.begin() as connection:
            return [IndexedEntry(**row) for row in connection.execute(statement).mappings()]

    def close(self) -> None:
        self._engine.dispose()


def _batches(digests: Sequence[str]) -> list[Sequence[str]]:
    return [digests[start : start + BATCH] for start in range(0, len(digests), BATCH)]
