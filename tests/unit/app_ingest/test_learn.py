"""Prompts that were computed in full teach the store, but never what has gone meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from app.db.cache_targets import CacheTargets
from app.db.rows import CacheScope
from app.decoder.service import DecoderService
from app.decoder.types import DecodeRequest, Passage
from app.ingest import idle_queue
from app.ingest.learn import Learner
from tests.fakes.decoder import FakeDecoder
from tests.fakes.store import Store

pytestmark = pytest.mark.anyio


class CapturingDecoder(FakeDecoder):
    is_idle = True

    def __init__(self) -> None:
        super().__init__()
        self.captured: list[DecodeRequest] = []

    async def capture(self, request: DecodeRequest) -> int:
        if self.error is not None:
            raise self.error
        self.captured.append(request)
        return len(request.passages) - 1


@pytest.fixture
def decoder() -> CapturingDecoder:
    return CapturingDecoder()


@pytest.fixture
async def learner(
    store: Store, decoder: CapturingDecoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Learner]:
    monkeypatch.setattr(idle_queue, "LOOK_AGAIN_S", 0.01)
    targets = CacheTargets(store.database)
    opened = Learner(targets, cast(DecoderService, decoder), asyncio.Lock())
    opened.start()
    yield opened
    await opened.stop()


async def request_of(store: Store) -> DecodeRequest:
    rows = await CacheTargets(store.database).page(CacheScope("tenant"), 0, 10)
    passages = [Passage(row.chunk_id, row.token_ids, row.primers) for row in rows]
    return DecodeRequest(tuple(passages), "Why?")


async def settle(learner: Learner) -> None:
    await asyncio.sleep(0.02)
    await learner.wait_idle()


async def test_a_prompt_is_captured_when_no_question_waits(
    store: Store, decoder: CapturingDecoder, learner: Learner
) -> None:
    await store.add("a", ["one passage", "another"])
    request = await request_of(store)
    decoder.is_idle = False
    await asyncio.to_thread(learner.computed, request)
    await asyncio.sleep(0.05)
    assert decoder.captured == []
    decoder.is_idle = True
    await settle(learner)
    assert decoder.captured == [request]
    assert learner.stored == 1


async def test_a_prompt_with_a_passage_that_has_gone_is_not_captured(
    store: Store, decoder: CapturingDecoder, learner: Learner
) -> None:
    await store.add("a", ["one passage", "another"])
    document = await store.add("b", ["a third"])
    request = await request_of(store)
    await store.removal.delete(document.id)
    learner.computed(request)
    await settle(learner)
    assert decoder.captured == []


async def test_a_capture_that_breaks_stops_nothing(
    store: Store, decoder: CapturingDecoder, learner: Learner
) -> None:
    await store.add("a", ["one passage"])
    request = await request_of(store)
    decoder.error = RuntimeError("broken")
    learner.computed(request)
    await settle(learner)
    decoder.error = None
    learner.computed(request)
    await settle(learner)
    assert decoder.captured == [request]
