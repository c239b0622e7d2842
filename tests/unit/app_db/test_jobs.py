"""Jobs on a real SQLite file: who gets one, what a dead owner leaves, and what clocks can do."""

import time

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql

from app.db import models
from app.db.job_leases import LONGEST_WAIT_S, JobLeases
from app.db.job_rows import RANK_DELETE, RANK_LATER, JobStep, NewJob, intake_of
from app.db.session import Database
from app.errors import JobNotFound, JobNotOpen
from tests.fakes.store import make_store

pytestmark = pytest.mark.anyio

KINDS = ("ingest", "delete", "count")


async def claim(store, served=None, active=None):
    """As a worker that is still at everything it had claimed."""
    if active is None:
        active = [job.id for job in (await store.jobs.list(99))[0]]
    return await store.leases.claim(KINDS, served or {}, active=active)


async def test_a_document_and_its_job_are_one_transaction(store) -> None:
    collection = await store.collections.create("c")
    source = await store.sources.get_or_create("s")
    for name in ("a", "b"):
        await store.documents.add(collection.id, source.id, name, name.encode(), None, "j")
    job = await store.jobs.get("j")
    assert (job.kind, job.collection_id, job.total, job.done) == ("ingest", collection.id, 2, 0)
    items, more = await store.jobs.items("j", 1)
    assert ([item.key for item in items], more) == (["a"], True)
    items, more = await store.jobs.items("j", 9, after=items[0].id, state="queued")
    assert ([item.key for item in items], more) == (["b"], False)
    again, created = await store.documents.add(collection.id, source.id, "a", b"a", None, "k")
    assert not created
    await store.documents.mark_failed(again.id, "broken")
    assert [(await store.jobs.get(name)).failed for name in ("j", "k")] == [1, 1]


async def test_lower_ranks_first_then_the_collection_that_waited_longest(store) -> None:
    later = await store.jobs.enqueue(NewJob("count", 1, rank=RANK_LATER))
    first = await store.jobs.enqueue(NewJob("count", 1))
    second = await store.jobs.enqueue(NewJob("count", 2))
    delete = await store.jobs.enqueue(NewJob("delete", 1, rank=RANK_DELETE))
    assert (await claim(store)).id == delete.id
    assert (await claim(store, {1: 1})).id == second.id
    assert (await claim(store, {1: 1, 2: 2})).id == first.id
    assert (await claim(store)).id == later.id
    assert await claim(store) is None
    dropped = await claim(store, active=[later.id, first.id, second.id])
    assert (dropped.id, dropped.attempts) == (delete.id, 0)


async def test_who_had_no_turn_for_long_has_one(store, monkeypatch: pytest.MonkeyPatch) -> None:
    later = await store.jobs.enqueue(NewJob("count", 1, rank=RANK_LATER))
    for name in ("a", "b", "c"):  # somebody who goes on uploading
        await store.jobs.enqueue(NewJob("count", 2, id=name))
    assert (await claim(store, {2: 1}, active=[])).id == "a"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LONGEST_WAIT_S + 1)
    assert (await claim(store, {2: 2}, active=["a"])).id == later.id
    await store.leases.put_back(later.id, 0.0)
    assert (await claim(store, {2: 2, 1: 3}, active=["a"])).id == "b"  # and then waits again
    assert (await claim(store, {2: 4, 1: 3}, active=["a", "b"])).id == "c"
    assert (await claim(store, {2: 5, 1: 3}, active=["a", "b", "c"])).id == later.id


async def test_a_job_has_one_owner_and_what_a_dead_one_held_is_counted(store) -> None:
    job = await store.jobs.enqueue(NewJob("count"))
    other = JobLeases(store.database, "node", "two")
    assert (await claim(store)).attempts == 0
    assert await other.claim(KINDS, {}) is None
    assert not await other.renew(job.id)
    assert await other.keep(job.id, JobStep(is_done=True)) is None
    stale = await other.left_behind()
    assert await store.leases.renew(job.id)  # it lives after all
    assert await other.claim(KINDS, {}, stale) is None
    taken = await other.claim(KINDS, {}, await other.left_behind())
    assert (taken.id, taken.attempts) == (job.id, 1)
    assert await store.leases.keep(job.id, JobStep()) is None  # the first owner is too late
    assert await store.leases.put_back(job.id, 0) is None
    assert (await other.keep(job.id, JobStep(is_done=True))).state == "succeeded"
    elsewhere = JobLeases(store.database, "another", "one")
    assert await elsewhere.left_behind() == []


async def test_clocks_that_are_set_back_or_forward(store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time()
    job = await store.jobs.enqueue(NewJob("count"))
    await claim(store)
    other = JobLeases(store.database, "node", "two")
    monkeypatch.setattr(time, "time", lambda: real + 86400)
    assert await other.claim(KINDS, {}) is None  # a day without a heartbeat, by that clock
    await store.leases.put_back(job.id, 60.0)
    assert await claim(store) is None
    assert await store.leases.next_wait(KINDS) == 60.0
    monkeypatch.setattr(time, "time", lambda: real - 86400)
    assert await store.leases.next_wait(KINDS) == 0.0
    assert (await claim(store)).id == job.id  # nothing waits for a day


async def test_cancel_and_retry(store) -> None:
    ready, raw, found = [await store.add(name, [name]) for name in ("a", "b", "c")]
    async with store.database.transaction() as session:
        await session.execute(text("UPDATE documents SET state='received', text=NULL WHERE id=2"))
    for row in (ready, raw, found):
        args = (row.collection_id, row.source_id, row.name, row.name.encode(), None, "j")
        await store.documents.add(*args)
    for row in (ready, found):
        await store.documents.mark_indexed([row.id])
    await store.documents.mark_ready(ready.id)
    assert (await store.jobs.cancel("j")).state == "cancelled"
    states = [(await store.documents.get(row.id)).state for row in (ready, raw, found)]
    assert states == ["ready", "failed", "ready"]
    items, _ = await store.jobs.items("j", 9)
    assert [item.state for item in items] == ["done", "cancelled", "cancelled"]
    with pytest.raises(JobNotOpen, match="cancelled"):
        await store.jobs.cancel("j")
    job = await store.jobs.retry("j")
    assert (job.state, job.total, job.done) == ("queued", 3, 1)
    assert (await store.documents.get(raw.id)).state == "received"
    assert (await store.documents.get(found.id)).state == "indexed"  # its KV is still to come
    assert (await store.documents.get(ready.id)).state == "ready"
    with pytest.raises(JobNotOpen, match="nothing to try again"):
        await store.jobs.retry("j")
    with pytest.raises(JobNotFound):
        await store.jobs.cancel("nothing")
    delete = await store.removal.request([ready.id], "asked")
    with pytest.raises(JobNotOpen, match="cannot be cancelled"):
        await store.jobs.cancel(delete)


async def test_what_comes_after_a_cancel_is_taken_in(store) -> None:
    collection = await store.collections.create("c")
    source = await store.sources.get_or_create("s")

    async def add(name: str) -> int:
        args = (collection.id, source.id, name, name.encode(), None, "j")
        return (await store.documents.add(*args))[0].id

    async def state_of(document_id: int) -> str:
        return (await store.documents.get(document_id)).state

    first = await add("a")
    await store.jobs.cancel("j")  # while it waits
    second = await add("b")
    assert (await state_of(first), await state_of(second)) == ("failed", "received")
    job = await claim(store, active=[])
    assert (job.id, job.is_cancelling, job.error) == ("j", False, None)
    await store.leases.put_back("j", 300.0, "no luck")
    job = await claim(store, active=[])
    assert job is None  # it waits
    await store.jobs.cancel("j")
    third = await add("c")
    job = await claim(store, active=[])  # a cancelled job's waiting is over
    assert (job.id, job.attempts, job.error) == ("j", 0, None)
    await store.jobs.cancel("j")  # while somebody is at it
    fourth = await add("d")
    assert (await state_of(third), await state_of(fourth)) == ("failed", "received")
    assert await store.leases.keep("j", JobStep()) is None  # who was at it stops
    assert (await claim(store, active=[])).id == "j"
    items, _ = await store.jobs.items("j", 9)
    assert [item.state for item in items] == ["cancelled", "cancelled", "cancelled", "queued"]


async def test_cancelling_a_fetch_cancels_what_it_brought(store) -> None:
    collection = await store.collections.create("c")
    source = await store.sources.get_or_create("s")
    fetch = await store.jobs.enqueue(NewJob("fetch", collection.id), keys=["x", "y"])
    args = (collection.id, source.id, "x", b"x", None, intake_of(fetch.id))
    await store.documents.add(*args)
    assert (await store.jobs.cancel(fetch.id)).state == "cancelled"
    assert (await store.jobs.get(intake_of(fetch.id))).state == "cancelled"


async def test_how_jobs_end(store) -> None:
    for states, end in [("dd", "succeeded"), ("df", "partial"), ("ff", "failed")]:
        job = await store.jobs.enqueue(NewJob("count"), keys=["x", "y"])
        items, _ = await store.jobs.items(job.id, 9)
        await claim(store)
        half = await store.leases.keep(job.id, JobStep(is_done=True))
        assert half.state == "queued"  # there are open items
        for item, state in zip(items, states, strict=True):
            error = "no" if state == "f" else None
            await store.jobs.settle_item(job.id, item.id, error=error)
        await claim(store)
        assert (await store.leases.keep(job.id, JobStep(is_done=True))).state == end
    assert await store.jobs.count_open() == 0
    newest, more = await store.jobs.list(2)
    (oldest,), _ = await store.jobs.list(9, after=newest[-1].id)
    assert (more, oldest.state) == (True, "succeeded")
    await store.jobs.forget_old(keep_s=-60)
    assert await store.jobs.list(9) == ([], False)


async def test_documents_of_before_there_were_jobs_are_adopted(store) -> None:
    row = await store.add("a", ["one"])
    assert await store.jobs.adopt_documents() == 1
    assert await store.jobs.adopt_documents() == 0
    (job,), _ = await store.jobs.list(9)
    work = await store.work.of(job.id, 5)
    assert (work.received, work.chunked, work.indexed) == ((), (row.id,), ())


async def test_another_process_sees_the_same_jobs(store, database_url: str) -> None:
    await store.jobs.enqueue(NewJob("count"))
    database = await Database.open(database_url)
    second = make_store(database, store.path)
    assert await claim(second) is not None
    assert await claim(store) is None
    await database.close()


def test_on_postgresql_a_claim_skips_what_others_have_locked() -> None:
    statement = select(models.Job).with_for_update(skip_locked=True)
    compiled = str(statement.compile(dialect=postgresql.dialect()))
    assert compiled.endswith("FOR UPDATE SKIP LOCKED")
