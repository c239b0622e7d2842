"""Deleting, and starting again after a crash in the middle of it."""

import asyncio

import pytest

from app.decoder.types import PurgeReport
from app.errors import DocumentNotFound
from app.ingest.startup import decoder_stamp, prepare
from app.ingest.types import DeleteReport
from tests.fakes.ingest_parts import HashEmbedder, PassageStore

pytestmark = pytest.mark.anyio


async def ready(kitchen, body: bytes, name: str):
    return await kitchen.pipeline.process((await kitchen.accept(body, name)).id)


async def test_everything_of_it_goes_and_nothing_else(kitchen) -> None:
    a = await ready(kitchen, b"shared\nmine", "a.txt")
    b = await ready(kitchen, b"shared\nyours", "b.txt")
    report = await kitchen.remover.delete(a.id)
    assert report == DeleteReport(chunks=2, kv_entries=1, kv_bytes=40)
    assert kitchen.decoder.stored == {tuple(b"shared"), tuple(b"yours")}
    ids, _ = await kitchen.store.chunks.embeddings(b.collection_id)
    assert set(kitchen.indexes.ids(b.collection_id).tolist()) == set(ids)
    assert await kitchen.store.lexical.search("mine", b.collection_id, 5) == []
    assert (await kitchen.store.documents.get(b.id)).chunks_cached == 2
    with pytest.raises(DocumentNotFound):
        await kitchen.remover.delete(a.id)


async def test_a_purge_that_failed_is_made_up_for_at_the_next_start(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo", "a.txt")

    class Broken(PassageStore):
        async def purge(self, token_ids) -> PurgeReport:
            raise OSError("the process ends here")

    remover = kitchen.remover
    remover._decoder = Broken()
    with pytest.raises(OSError, match="ends here"):
        await remover.delete(row.id)
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
    assert (await remover.delete(row.id)).kv_entries == 1
    assert (await remover.purge_pending()).complete
    assert await remover.purge_pending() == PurgeReport(0, 0)
    assert remover._decoder.asked == 2


async def test_a_caller_that_goes_away_does_not_leave_half_a_document(kitchen) -> None:
    row = await ready(kitchen, b"one\ntwo", "a.txt")
    await kitchen.parts.gate.acquire()
    remover = kitchen.remover
    call = asyncio.create_task(remover.delete(row.id))
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    kitchen.parts.gate.release()
    await asyncio.gather(*remover._running)
    assert kitchen.decoder.stored == set()
    assert not len(kitchen.indexes.ids(row.collection_id))


async def test_a_delete_waits_for_the_batch_in_hand(kitchen) -> None:
    row = await kitchen.accept(b"one\ntwo\nthree")
    pipeline = kitchen.pipeline
    await asyncio.gather(pipeline.process(row.id), kitchen.remover.delete(row.id))
    assert kitchen.decoder.stored == set()
    assert not len(kitchen.indexes.ids(row.collection_id))
    assert await kitchen.store.chunks.count() == 0


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
