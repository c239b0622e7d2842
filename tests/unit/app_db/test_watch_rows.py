"""The watch's tables: what was seen, what is switched off, and that a reset forgets both."""

import pytest

from app.db.rows import WatchedRow
from app.db.watch import Watch
from tests.fakes.store import Store

pytestmark = pytest.mark.anyio


def check(kl: float, collection_id: int | None = 1, identity: str = "m") -> WatchedRow:
    return WatchedRow(identity, collection_id, "watch", 80.0, 400.0, kl, 0.9, 16)


async def test_checks_come_back_in_order_and_by_identity(store: Store) -> None:
    watch = Watch(store.database)
    for number in range(5):
        await watch.add(check(number / 10, collection_id=number % 2))
    await watch.add(check(9.0, identity="another"))
    await watch.add(WatchedRow("m", 1, "off", 500.0))
    assert await watch.drifts("m", 3) == [(0, 0.2), (1, 0.3), (0, 0.4)]


async def test_a_summary_of_nothing_and_of_something(store: Store) -> None:
    watch = Watch(store.database)
    empty = await watch.summary("m")
    assert (empty.checked, empty.kl_mean, empty.kl_max, empty.served.n) == (0, None, None, 0)
    for kl in (0.1, 0.3):
        await watch.add(check(kl))
    await watch.add(WatchedRow("m", 1, "off", 500.0))
    await watch.add(WatchedRow("m", 1, "on", 100.0))
    seen = await watch.summary("m")
    assert (seen.checked, seen.kl_max) == (2, 0.3)
    assert seen.kl_mean == pytest.approx(0.2)
    assert (seen.served.p50_ms, seen.full.p50_ms) == (80.0, 400.0)
    assert (seen.off.p50_ms, seen.on.p50_ms) == (500.0, 100.0)


async def test_suspensions_last_until_they_are_lifted(store: Store) -> None:
    watch = Watch(store.database)
    collection = await store.collections.create("town")
    await watch.add(check(3.0))
    await watch.suspend("m", collection.id, "drift_over_limit")
    await watch.suspend("m", None, "drift_over_limit")
    await watch.suspend("another", None, "drift_over_limit")
    rows = await watch.suspensions("m")
    assert [(row.collection_id, row.collection) for row in rows] == [
        (collection.id, "town"),
        (None, None),
    ]
    assert await watch.reset("m") == 2
    assert await watch.suspensions("m") == []
    assert await watch.drifts("m", 10) == []
    assert (await watch.summary("m")).checked == 0
    assert len(await watch.suspensions("another")) == 1
    assert await watch.reset("m") == 0
