"""Deleting, and starting again after a crash in the middle of it."""

import asyncio
from dataclasses import replace

import pytest

from app.db.job_leases import JobLeases
from app.decoder.types import PurgeReport
from app.errors import DocumentNotFound
from app.ingest.remove import Remover
from app.ingest.startup import decoder_stamp, prepare
from app.ingest.worker import JobWorker
from tests.fakes.ingest_parts import HashEmbedder, PassageStore

pytestmark = pytest.mark.anyio


async def ready(kitchen, body: bytes, name: str):
    return await kitchen.pipeline.process((await kitchen.accept(body, name)).id)


async def only_job(kitchen, remover):
    """The deletion, its one document gone."""
    (job,), _ = await kitchen.store.jobs.list(1, states=["queued"])
    await remover.step(job)
    return job


async def test_everything_of_it_goes_and_nothing_else(kitchen) -> None:
    a = await ready(kitchen, b"shared\nmine", "a.txt")
    b = await ready(kitchen, b"shared\nyours", "b.txt")
    report = await kitchen.deletions().delete(a.id)
    assert (report.chunks, report.kv_entries, report.kv_bytes) == (2, 1, 40)
    assert report.is_complete
    job = await kitchen.store.jobs.get(report.job_id)
    assert (job.state, job.total, job.done) == ("succeeded", 1, 1)
    assert job.result == {
        "rows": {"documents": 1, "chunks": 2},
        "words": {"chunks": 2},
        "vectors": {"chunks": 2},
        "runs": {"redacted": 0},
        "observations": {"rows": 0},
        "kv": {"entries": 1, "bytes": 40},
    }
    assert kitchen.decoder.stored == {tuple(b"shared"), tuple(b"yours")}
    ids, _ = await kitchen.store.chunks.embeddings(b.collection_id)
    assert set(kitchen.indexes.ids(b.collection_id).tolist()) == set(ids)
    assert await kitchen.store.lexical.search("mine", b.collection_id, 5) == []
    assert (await kitchen.store.documents.get(b.id)).chunks_cached == 2
    with pytest.raises(DocumentNotFound):
        await kitchen.deletions().delete(a.id)


async def test_a_purge_that_failed_is_made_up_for_at_the_next_start(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo", "a.txt")

    class Broken(PassageStore):
        async def purge(self, token_ids) -> PurgeReport:
            raise OSError("the process ends here")

    remover = kitchen.remover
    remover._decoder = Broken()
    await kitchen.deletions(remover).request([row.id])
    with pytest.raises(OSError, match="ends here"):
        await remover.step(await only_job(kitchen, remover))
    assert len(kitchen.decoder.stored) == 2
    assert await prepare(kitchen.startup) == 0
    assert kitchen.decoder.stored == set()
    assert await kitchen.remover.purge_pending() == PurgeReport(0, 0)


async def test_a_purge_that_missed_a_tier_is_done_again_with_the_next(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo", "a.txt")

    class Half(PassageStore):
        asked = 0

        async def purge(self, token_ids) -> PurgeReport:
            self.asked += 1
            return PurgeReport(1, 10, complete=self.asked > 1)

    remover = kitchen.remover
    remover._decoder = Half()
    report = await kitchen.deletions(remover).delete(row.id)
    assert (report.kv_entries, report.is_complete) == (1, False)
    (job,), _ = await kitchen.store.jobs.list(1)
    assert (job.state, job.stage) == ("queued", "kv")  # and goes on in half a minute
    assert (await remover.purge_pending()).complete
    assert await remover.purge_pending() == PurgeReport(0, 0)
    assert remover._decoder.asked == 2


async def test_a_caller_that_goes_away_does_not_leave_half_a_document(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo", "a.txt")
    await kitchen.parts.gate.acquire()
    deletions = kitchen.deletions()
    call = asyncio.create_task(deletions.delete(row.id))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    kitchen.parts.gate.release()
    await asyncio.gather(*deletions._running)
    assert kitchen.decoder.stored == set()
    assert not len(kitchen.indexes.ids(row.collection_id))


async def test_a_delete_waits_for_the_batch_in_hand(kitchen) -> None:
    row = await kitchen.accept(b"one\ntwo\nthree")
    pipeline = kitchen.pipeline
    await asyncio.gather(pipeline.process(row.id), kitchen.deletions().delete(row.id))
    assert kitchen.decoder.stored == set()
    assert not len(kitchen.indexes.ids(row.collection_id))
    assert await kitchen.store.chunks.count() == 0


class Beliefs:
    """What rests on observations, which go with their document."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def refit(self, reason: str) -> None:
        self.reasons.append(reason)


async def test_several_documents_are_one_deletion(kitchen) -> None:
    for name in ("a", "b"):
        await ready(kitchen, name.encode(), name)
    beliefs, store = Beliefs(), kitchen.store
    remover = Remover(
        store.removal,
        store.jobs,
        kitchen.indexes,
        kitchen.decoder,
        kitchen.parts.gate,
        beliefs,
    )
    job = await kitchen.deletions(remover).request([1, 2], "sync")
    assert await store.documents.list(1, 9) == ([], False)  # found by nobody from here on
    left = await store.leases.claim(["delete"], {})  # by a process that dies then
    assert left is not None
    leases = JobLeases(store.database, "node", "two")
    worker = JobWorker(leases, [[remover]])
    worker.start()
    while (job := await store.jobs.get(job.id)).is_open:
        await asyncio.sleep(0.01)
    await worker.stop()
    assert (job.state, job.total, job.done, job.payload) == ("succeeded", 2, 2, {"reason": "sync"})
    assert job.result["rows"] == {"documents": 2, "chunks": 2}
    assert job.result["observations"] == {"rows": 0}
    items, _ = await store.jobs.items(job.id, 9)
    assert [item.key for item in items] == ["document 1", "document 2"]
    assert beliefs.reasons == []
    await remover.step(replace(job, attempts=1))  # after a crash nobody knows what was observed
    assert len(beliefs.reasons) == 1
    assert await remover.give_up(job, "no")  # a deletion is never given up


async def test_vectors_are_loaded_at_start(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo\nthree", "a.txt")
    await kitchen.store.collections.create("empty")
    before = kitchen.indexes.vectors[row.collection_id]
    restarted = kitchen.with_models()
    assert await prepare(restarted.startup) == 3
    after = restarted.indexes.vectors[row.collection_id]
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)


async def test_other_models_mean_work_again(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo\nthree", "a.txt")
    await prepare(kitchen.with_models().startup)
    assert (await kitchen.store.documents.get(row.id)).state == "ready"
    other = kitchen.with_models(HashEmbedder("hash-2"))
    assert await prepare(other.startup) == 0
    row = await other.pipeline.process(row.id)
    assert row.state == "ready"
    assert len(other.indexes.ids(row.collection_id)) == 3


def test_the_stamp_follows_identity_and_tokens() -> None:
    class Other(PassageStore):
        def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
            return (1, *text.encode())

    class Half(PassageStore):
        identity = "half"

    stamps = {decoder_stamp(decoder) for decoder in (PassageStore(), Other(), Half())}
    assert len(stamps) == 3
    assert decoder_stamp(PassageStore()) in stamps
