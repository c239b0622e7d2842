"""The background worker: picks up, wakes up, survives and stops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from app.db.rows import DocumentRow
from app.errors import StorageFull
from app.ingest.worker import IngestWorker
from retrieval.types import Document
from tests.fakes.ingest_parts import parse_text

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def running(kitchen, seen=None, retry_s: float = 30) -> AsyncIterator[IngestWorker]:
    on_progress = None if seen is None else seen.append
    worker = IngestWorker(kitchen.pipeline, kitchen.store.documents, on_progress, retry_s)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def test_picks_up_what_is_pending_and_what_comes(kitchen) -> None:
    seen: list[DocumentRow] = []
    first = await kitchen.accept(b"one\ntwo\nthree", "1.txt")
    second = await kitchen.accept(b"four", "2.txt")
    async with running(kitchen, seen) as worker:
        await asyncio.wait_for(worker.wait_idle(), 300)
        third = await kitchen.accept(b"five", "3.txt")
        worker.submit()
        await asyncio.wait_for(worker.wait_idle(), 300)
    for row in (first, second, third):
        assert (await kitchen.store.documents.get(row.id)).state == "ready"
    indexed = [row.id for row in seen if row.state == "indexed" and not row.chunks_cached]
    ready = [row.id for row in seen if row.state == "ready"]
    assert indexed == ready == [first.id, second.id, third.id]
    # The second can be found before the first one's KV is computed.
    assert seen.index(next(row for row in seen if row.state == "ready")) > max(
        position
        for position, row in enumerate(seen)
        if row.state == "indexed" and row.id == second.id and not row.chunks_cached
    )


async def test_a_failed_document_does_not_stop_the_others(kitchen) -> None:
    bad = await kitchen.accept(b"\x00", "bad")
    good = await kitchen.accept(b"one", "good")
    async with running(kitchen) as worker:
        await asyncio.wait_for(worker.wait_idle(), 300)
    assert (await kitchen.store.documents.get(bad.id)).state == "failed"
    assert (await kitchen.store.documents.get(good.id)).state == "ready"


async def test_a_full_disk_is_waited_out(kitchen) -> None:
    calls = 0

    def parse(data: bytes, name: str, media_type: str | None) -> Document:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise StorageFull("no space")
        return parse_text(data, name, media_type)

    row = await kitchen.accept(b"one")
    async with running(kitchen.changed(parse=parse), retry_s=0.01) as worker:
        await asyncio.wait_for(worker.wait_idle(), 300)
    assert calls == 3
    assert (await kitchen.store.documents.get(row.id)).state == "ready"


async def test_stopping_finishes_the_batch_in_hand(kitchen) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def parse(data: bytes, name: str, media_type: str | None) -> Document:
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return parse_text(data, name, media_type)

    row = await kitchen.accept(b"one\ntwo")
    worker = IngestWorker(kitchen.changed(parse=parse).pipeline, kitchen.store.documents)
    await worker.stop()  # never started: nothing to do
    worker.start()
    await started.wait()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert (await kitchen.store.documents.get(row.id)).state == "chunked"


async def test_stopping_does_not_wait_forever(kitchen) -> None:
    row = await kitchen.accept(b"one")
    worker = IngestWorker(kitchen.pipeline, kitchen.store.documents)
    await kitchen.parts.gate.acquire()  # the next batch cannot begin
    worker.start()
    while (await kitchen.store.documents.get(row.id)).state == "received":
        await asyncio.sleep(0.01)
    await worker.stop(grace_s=0.05)
    kitchen.parts.gate.release()
    assert (await kitchen.pipeline.process(row.id)).state == "ready"
