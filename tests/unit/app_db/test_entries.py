"""The KV store's entry list, and calibration records."""

from collections.abc import Iterator

import pytest

from app.db.entries import EntryRows
from app.db.model_records import ModelRecords
from app.errors import StorageFull
from kvstore.protocols import Uses

pytestmark = pytest.mark.anyio


@pytest.fixture
def entries(store, database_url: str) -> Iterator[EntryRows]:
    rows = EntryRows(database_url)
    yield rows
    rows.close()


def record(entries: EntryRows, digest: str, now: float = 1.0, num_bytes: int = 10) -> None:
    entries.record(
        digest=digest,
        namespace="n",
        identity="i",
        content=f"content of {digest}",
        context="x",
        preceding="p",
        num_tokens=3,
        num_bytes=num_bytes,
        now=now,
    )


async def test_record_touch_pin_forget(entries: EntryRows) -> None:
    for digest in ("a", "b", "c"):
        record(entries, digest)
    record(entries, "a", now=2.0, num_bytes=11)
    entries.touch({"a": Uses(2, 5.0), "b": Uses(1, 4.0)})
    entries.touch({"a": Uses(1, 6.0)})
    entries.touch({})
    entries.pin("b", True)
    entries.forget(["c", "unknown"])
    a, b = sorted(entries.rows(), key=lambda row: row.digest)
    assert (a.content, a.num_bytes, a.last_used_at, a.uses, a.pinned) == (
        "content of a",
        11,
        6.0,
        3,
        False,
    )
    assert (b.last_used_at, b.uses) == (4.0, 1)
    assert b.pinned
    entries.pin("b", False)
    assert not any(row.pinned for row in entries.rows())


async def test_many_at_once(entries: EntryRows) -> None:
    digests = [f"d{n}" for n in range(1203)]
    for digest in digests[:3]:
        record(entries, digest)
    entries.touch(dict.fromkeys(digests, Uses(1, 9.0)))
    entries.forget(digests)
    assert entries.rows() == []


async def test_a_full_disk(sqlite_store, sqlite_url: str) -> None:
    entries = EntryRows(sqlite_url)
    with entries._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(2000):
            record(entries, f"{number:064}")

    with pytest.raises(StorageFull):
        fill()
    entries.close()


async def test_records_of_models(store) -> None:
    records = ModelRecords(store.database)
    assert await records.get("m") is None
    await records.save("m", {"ratio": 0.05})
    await records.save("m", {"ratio": 0.1, "policy": "question"})
    assert await records.get("m") == {"ratio": 0.1, "policy": "question"}
