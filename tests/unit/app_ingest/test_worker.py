"""The background worker: picks up, wakes up, takes turns, survives and stops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text

from app.db.job_rows import JobRow, JobStep, NewJob
from app.errors import InvalidValue, StorageFull
from app.ingest.worker import INTERNAL_ERROR, JobWorker, WorkerConfig
from retrieval.protocols import Float32Array
from retrieval.types import Document
from tests.fakes.ingest_parts import HashEmbedder, parse_text

pytestmark = pytest.mark.anyio

SHORT = WorkerConfig(turn_s=0, retry_s=0.01, backoff_s=0.001)


@contextlib.asynccontextmanager
async def started(worker: JobWorker) -> AsyncIterator[JobWorker]:
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def idle(worker: JobWorker) -> None:
    await asyncio.wait_for(worker.wait_idle(), 300)


class Counter:
    """A handler that needs so many steps and may fail at each."""

    kind = "count"

    def __init__(self, steps: int = 3) -> None:
        self.steps = steps
        self.seen: list[str] = []
        self.errors: list[Exception] = []
        self.given_up: list[str] = []
        self.goes_on = False
        self.cut_off = 0
        self.hold: asyncio.Event | None = None

    async def step(self, job: JobRow) -> JobStep:
        self.seen.append(job.id)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cut_off += 1
                raise
        if self.errors:
            raise self.errors.pop()
        done = job.done + 1
        return JobStep(done == self.steps, "counting", {"last": done}, self.steps, done)

    async def give_up(self, job: JobRow, reason: str) -> bool:
        self.given_up.append(reason)
        return self.goes_on


async def test_picks_up_what_is_pending_and_what_comes(kitchen) -> None:
    seen: list[JobRow] = []
    first = await kitchen.accept(b"one\ntwo\nthree", "1.txt")
    second = await kitchen.accept(b"four", "2.txt")
    async with started(kitchen.worker(on_step=seen.append)) as worker:
        await idle(worker)
        third = await kitchen.accept(b"five", "3.txt")
        worker.submit()
        await idle(worker)
    for row in (first, second, third):
        assert (await kitchen.store.documents.get(row.id)).state == "ready"
    jobs, _ = await kitchen.store.jobs.list(10)
    assert [(job.state, job.total, job.done) for job in jobs] == [("succeeded", 1, 1)] * 3
    # The second can be found before the first one's KV is computed.
    stages = [(job.id, job.stage, job.state) for job in seen]
    started_kv = stages.index((jobs[1].id, "kv", "queued"))
    assert started_kv < stages.index((jobs[2].id, "kv", "succeeded"))


async def test_a_failed_document_does_not_stop_the_others(kitchen) -> None:
    bad = await kitchen.accept(b"\x00", "bad")
    good = await kitchen.accept(b"one", "good")
    async with started(kitchen.worker()) as worker:
        await idle(worker)
    assert (await kitchen.store.documents.get(bad.id)).state == "failed"
    assert (await kitchen.store.documents.get(good.id)).state == "ready"
    states = {job.state for job in (await kitchen.store.jobs.list(10))[0]}
    assert states == {"failed", "succeeded"}


async def test_a_full_disk_is_waited_out(kitchen) -> None:
    calls = 0

    def parse(data: bytes, name: str, media_type: str | None) -> Document:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise StorageFull("no space")
        return parse_text(data, name, media_type)

    row = await kitchen.accept(b"one")
    async with started(kitchen.changed(parse=parse).worker(SHORT)) as worker:
        await idle(worker)
    assert calls == 3
    assert (await kitchen.store.documents.get(row.id)).state == "ready"
    (job,), _ = await kitchen.store.jobs.list(1)
    assert job.attempts == 0


async def test_stopping_finishes_the_batch_in_hand(kitchen) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def parse(data: bytes, name: str, media_type: str | None) -> Document:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return parse_text(data, name, media_type)

    row = await kitchen.accept(b"one\ntwo")
    worker = kitchen.changed(parse=parse).worker()
    await worker.stop()  # never started: nothing to do
    worker.start()
    await begun.wait()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert (await kitchen.store.documents.get(row.id)).state == "chunked"
    (job,), _ = await kitchen.store.jobs.list(1)
    assert (job.state, job.attempts) == ("queued", 0)


async def test_stopping_does_not_wait_forever(kitchen) -> None:
    row = await kitchen.accept(b"one")
    worker = kitchen.worker()
    await kitchen.parts.gate.acquire()  # the next batch cannot begin
    worker.start()
    while (await kitchen.store.documents.get(row.id)).state == "received":
        await asyncio.sleep(0.01)
    await worker.stop(grace_s=0.05)
    kitchen.parts.gate.release()
    (job,), _ = await kitchen.store.jobs.list(1)
    assert (job.state, job.attempts) == ("queued", 0)  # cut off by us, not its fault
    async with started(kitchen.worker()) as worker:
        await idle(worker)
    assert (await kitchen.store.documents.get(row.id)).state == "ready"


async def test_collections_and_jobs_take_turns(kitchen) -> None:
    handler, jobs = Counter(4), kitchen.store.jobs
    big = [await jobs.enqueue(NewJob("count", 1)) for _ in range(3)]
    small = await jobs.enqueue(NewJob("count", 2))
    async with started(JobWorker(kitchen.store.leases, [[handler]], SHORT)) as worker:
        await idle(worker)
    order = [
        "small" if job_id == small.id else str([job.id for job in big].index(job_id))
        for job_id in handler.seen
    ]
    assert order[:8] == ["0", "small", "1", "small", "2", "small", "0", "small"]
    assert (await jobs.get(small.id)).result == {"last": 4}


async def test_a_step_that_fails_is_tried_again_and_then_given_up(kitchen) -> None:
    handler, jobs = Counter(1), kitchen.store.jobs
    handler.errors = [RuntimeError("password=hunter2")]
    job = await jobs.enqueue(NewJob("count"))
    async with started(JobWorker(kitchen.store.leases, [[handler]], SHORT)) as worker:
        await idle(worker)
        assert (await jobs.get(job.id)).state == "succeeded"
        handler.errors = [InvalidValue("it cannot be counted")] * 5
        job = await jobs.enqueue(NewJob("count"))
        worker.submit()
        await idle(worker)
        job = await jobs.get(job.id)
        assert (job.state, job.error) == ("failed", "it cannot be counted")
        assert handler.given_up == ["it cannot be counted"]
        handler.goes_on, handler.errors = True, [RuntimeError("x")] * 5
        assert (await jobs.retry(job.id)).state == "queued"
        worker.submit()
        await idle(worker)
    assert handler.given_up[1:] == [INTERNAL_ERROR]
    assert (await jobs.get(job.id)).state == "succeeded"


async def test_a_running_job_is_cancelled_after_its_step(kitchen) -> None:
    handler, jobs = Counter(3), kitchen.store.jobs
    handler.hold = asyncio.Event()
    job = await jobs.enqueue(NewJob("count"))
    async with started(JobWorker(kitchen.store.leases, [[handler]])) as worker:
        while not handler.seen:
            await asyncio.sleep(0.001)
        assert (await jobs.cancel(job.id)).is_cancelling
        handler.hold.set()
        await idle(worker)
    assert len(handler.seen) == 1
    assert (await jobs.get(job.id)).state == "cancelled"


async def test_a_worker_that_lost_its_lease_stops(kitchen) -> None:
    handler, jobs, store = Counter(1), kitchen.store.jobs, kitchen.store
    handler.hold = asyncio.Event()
    job = await jobs.enqueue(NewJob("count"))
    config = WorkerConfig(lease_s=0.03)
    async with started(JobWorker(store.leases, [[handler]], config)):
        while not handler.seen:
            await asyncio.sleep(0.001)
        await take(store)
        while not handler.cut_off:
            await asyncio.sleep(0.001)
        handler.hold.set()  # the other one gives no sign of life, so it comes back here
        while (job := await jobs.get(job.id)).is_open:
            await asyncio.sleep(0.01)
    assert (job.state, job.done, job.attempts) == ("succeeded", 1, 0)


async def take(store) -> None:
    """As if another process had claimed everything."""
    async with store.database.transaction() as session:
        await session.execute(text("UPDATE jobs SET lease_owner = 'other/two'"))


async def test_a_dead_workers_job_is_taken_over_after_a_lease(kitchen) -> None:
    store, handler = kitchen.store, Counter(1)
    job = await store.jobs.enqueue(NewJob("count"))
    assert await store.leases.claim(["count"], {}) is not None
    await take(store)  # of another machine, so nobody knows that it is dead
    config = WorkerConfig(lease_s=0.05)
    async with started(JobWorker(store.leases, [[handler]], config)):
        while (job := await store.jobs.get(job.id)).is_open:
            await asyncio.sleep(0.01)
    assert job.state == "succeeded"


async def test_a_passing_error_costs_no_document(kitchen) -> None:
    calls = 0

    def parse(data: bytes, name: str, media_type: str | None) -> Document:
        nonlocal calls
        calls += 1
        if calls in {2, 4, 6}:
            raise MemoryError("cannot fork")
        return parse_text(data, name, media_type)

    collection = (await kitchen.accept(b"one", "0")).collection_id
    for number in range(1, 6):
        body = f"text {number}".encode()
        await kitchen.pipeline.accept(collection, "s", str(number), body, None, "bulk")
    async with started(kitchen.changed(parse=parse).worker(SHORT)) as worker:
        await idle(worker)
    rows, _ = await kitchen.store.documents.list(collection, 9)
    assert [row.state for row in rows] == ["ready"] * 6
    job = await kitchen.store.jobs.get("bulk")
    assert (job.state, job.done, job.attempts, job.error) == ("succeeded", 5, 0, None)


class Poisoned(HashEmbedder):
    """One text that cannot be embedded, alone or with others."""

    def encode(self, texts: Sequence[str]) -> Float32Array:
        if any("poison" in text for text in texts):
            raise RuntimeError("password=hunter2")
        return super().encode(texts)


async def test_the_one_to_blame_is_found_in_a_few_attempts(kitchen) -> None:
    embedder, names = Poisoned(), [str(number) for number in range(12)]
    await kitchen.store.collections.create("c")
    for name in names:
        body = b"poison" if name == "7" else f"text {name}".encode()
        await kitchen.pipeline.accept(1, "s", name, body, None, "bulk")
    seen: list[JobRow] = []
    spoilt = kitchen.changed(embedder=embedder)
    failures = 0
    put_back = kitchen.store.leases.put_back

    async def counted(job_id: str, wait_s: float, error: str | None = None) -> JobRow | None:
        nonlocal failures
        failures += error is not None
        return await put_back(job_id, wait_s, error)

    kitchen.store.leases.put_back = counted
    async with started(spoilt.worker(SHORT, on_step=seen.append)) as worker:
        await idle(worker)
    rows, _ = await kitchen.store.documents.list(1, 20)
    assert {row.name: row.error for row in rows if row.state == "failed"} == {"7": INTERNAL_ERROR}
    assert sum(row.state == "ready" for row in rows) == 11
    assert failures == 6  # once in a batch, five times alone
    job = await kitchen.store.jobs.get("bulk")
    assert (job.state, job.done, job.failed, job.result) == ("partial", 11, 1, {})
