"""Passages that were not stored are stored after their second use, while nobody waits."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from app.db.cache_targets import CacheTargets
from app.db.rows import CacheScope, CacheTargetRow
from app.decoder.service import DecoderService
from app.decoder.types import Passage
from app.ingest import idle_queue
from app.ingest.admit import Admitter
from kvstore.admission import UseCounter
from tests.fakes.decoder import FakeDecoder
from tests.fakes.store import Store

pytestmark = pytest.mark.anyio


class IdleDecoder(FakeDecoder):
    is_idle = True


@pytest.fixture
def decoder() -> IdleDecoder:
    return IdleDecoder()


@pytest.fixture
async def admitter(
    store: Store, decoder: IdleDecoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Admitter]:
    monkeypatch.setattr(idle_queue, "LOOK_AGAIN_S", 0.01)
    targets = CacheTargets(store.database)
    opened = Admitter(targets, cast(DecoderService, decoder), UseCounter(), asyncio.Lock())
    opened.start()
    yield opened
    await opened.stop()


async def rows_of(store: Store) -> list[CacheTargetRow]:
    return await CacheTargets(store.database).page(CacheScope("tenant"), 0, 10)


def passage(row: CacheTargetRow) -> Passage:
    return Passage(row.chunk_id, row.token_ids, row.primers)


async def settle(admitter: Admitter) -> None:
    await asyncio.sleep(0.02)
    await admitter.wait_idle()


async def test_the_second_use_stores_the_first_does_not(
    store: Store, decoder: IdleDecoder, admitter: Admitter
) -> None:
    await store.add("a", ["one passage", "another"])
    first, second = await rows_of(store)
    admitter.missed([passage(first), passage(second)])
    await settle(admitter)
    assert decoder.stored == set()
    await asyncio.to_thread(admitter.missed, [passage(second)])
    await settle(admitter)
    assert decoder.stored == {second.token_ids}
    assert [row.is_cached for row in await rows_of(store)] == [False, True]
    assert admitter.stored == 1


async def test_what_was_deleted_meanwhile_is_not_stored(
    store: Store, decoder: IdleDecoder, admitter: Admitter
) -> None:
    document = await store.add("a", ["one passage"])
    (row,) = await rows_of(store)
    admitter.missed([passage(row)])
    await store.removal.delete(document.id)
    admitter.missed([passage(row)])
    await settle(admitter)
    assert decoder.stored == set()


async def test_questions_come_first(store: Store, decoder: IdleDecoder, admitter: Admitter) -> None:
    await store.add("a", ["one passage"])
    (row,) = await rows_of(store)
    decoder.is_idle = False
    admitter.missed([passage(row)])
    admitter.missed([passage(row)])
    await asyncio.sleep(0.1)
    assert decoder.stored == set()
    decoder.is_idle = True
    await settle(admitter)
    assert decoder.stored == {row.token_ids}


async def test_a_store_that_refuses_and_one_that_breaks_stop_nothing(
    store: Store, decoder: IdleDecoder, admitter: Admitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.decoder.types import PrecomputeReport

    async def refuse(*_: object, **__: object) -> PrecomputeReport:
        return PrecomputeReport(0, 0, 1, 0, "disk_unavailable")

    async def fail(*_: object, **__: object) -> PrecomputeReport:
        raise RuntimeError("broken")

    await store.add("a", ["one passage"])
    (row,) = await rows_of(store)
    admitter.missed([passage(row)])
    for behaviour in (refuse, fail):
        with monkeypatch.context() as patch:
            patch.setattr(decoder, "precompute", behaviour)
            admitter.missed([passage(row)])
            await settle(admitter)
    admitter.missed([passage(row)])
    await settle(admitter)
    assert decoder.stored == {row.token_ids}
