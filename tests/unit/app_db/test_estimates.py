"""Probes of an estimate: taken one at a time, answered once, taken again after a crash."""

import pytest

from app.db import estimates as module
from app.db.reliability_rows import NewObservation, NewProbe
from app.errors import EstimateNotFound, EstimateRunning

pytestmark = pytest.mark.anyio


async def start(store, *questions: str, collection_id: int = 1):
    probes = [NewProbe(question) for question in questions]
    return await store.estimates.start(collection_id, "larder", probes, "mara")


async def test_a_probe_is_answered_once_and_its_observations_come_with_it(store) -> None:
    job = await start(store, "one", "two", "one")
    assert (job.state, job.total, job.pending) == ("running", 2, 2)
    probe = await store.estimates.lease(job.id)
    assert (probe.question, probe.collection_id, probe.attempts) == ("one", 1, 1)
    rows = [
        NewObservation("probe", None, "one", answer, estimate_id=job.id) for answer in ("x", None)
    ]
    assert await store.estimates.finish(probe.id, rows)
    assert not await store.estimates.finish(probe.id, rows)
    assert len(await store.observations.active()) == 2
    row = await store.estimates.get(job.id)
    assert (row.done, row.pending, row.answers, row.silent) == (1, 1, 1, 1)
    second = await store.estimates.lease(job.id)
    assert second.question == "two"
    assert await store.estimates.lease(job.id) is None


async def test_what_a_killed_process_had_in_hand_is_asked_again(store) -> None:
    job = await start(store, "one")
    await store.estimates.lease(job.id)
    assert await store.estimates.lease(job.id) is None
    await store.estimates.release_leases()
    again = await store.estimates.lease(job.id)
    assert (again.question, again.attempts) == ("one", 2)


async def test_a_lease_runs_out(store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await start(store, "one")
    await store.estimates.lease(job.id)
    monkeypatch.setattr(module, "LEASE_S", -1.0)
    assert (await store.estimates.lease(job.id)).attempts == 2


async def test_what_fails_is_tried_three_times(store) -> None:
    job = await start(store, "one")
    for _ in range(3):
        probe = await store.estimates.lease(job.id)
        await store.estimates.give_back(probe.id, "the model is away")
    assert await store.estimates.lease(job.id) is None
    assert (await store.estimates.get(job.id)).failed == 1


async def test_one_estimate_a_collection(store) -> None:
    job = await start(store, "one")
    with pytest.raises(EstimateRunning, match=str(job.id)):
        await start(store, "two")
    other = await start(store, "two", collection_id=2)
    assert [row.id for row in await store.estimates.running()] == [job.id, other.id]
    await store.estimates.end(job.id, "cancelled")
    row = await store.estimates.get(job.id)
    assert (row.state, row.failed) == ("cancelled", 1)
    assert row.finished_at is not None
    assert [row.id for row in await store.estimates.running()] == [other.id]
    assert [row.id for row in await store.estimates.list(1)] == [other.id]
    await store.estimates.end(job.id, "done", version_id=1)  # ended before: stays as it was
    assert (await store.estimates.get(job.id)).state == "cancelled"
    with pytest.raises(EstimateNotFound):
        await store.estimates.get(99)


async def test_probes_made_of_a_deleted_document_go(store) -> None:
    document = await store.add("a", ["one"])
    probes = [NewProbe("made of it", document_id=document.id), NewProbe("not")]
    job = await store.estimates.start(document.collection_id, "larder", probes, "mara")
    taken = await store.estimates.lease(job.id)
    await store.removal.delete(document.id)
    row = NewObservation("probe", None, taken.question, "x", document_id=None)
    assert not await store.estimates.finish(taken.id, [row])
    assert await store.observations.active() == []
    assert (await store.estimates.get(job.id)).total == 1


async def test_no_probe_is_made_of_a_document_that_went_meanwhile(store) -> None:
    document = await store.add("a", ["one"])
    probes = [NewProbe("made of it", document_id=document.id), NewProbe("not")]
    await store.removal.request([document.id], "asked")
    job = await store.estimates.start(document.collection_id, "larder", probes, "mara")
    assert (await store.estimates.get(job.id)).total == 1
    taken = await store.estimates.lease(job.id)
    row = NewObservation("probe", None, taken.question, "x", document_id=document.id)
    assert await store.estimates.finish(taken.id, [row])
    assert await store.observations.active() == []


async def test_nobody_is_asked_about_a_document_that_is_being_deleted(store) -> None:
    document = await store.add("a", ["The mill burnt down."])
    await store.documents.mark_indexed([document.id])
    place = document.collection_id
    assert await store.sources.in_collection(place) == [document.source_id]
    assert len(await store.chunks.first_of_documents(place, 5)) == 1
    await store.removal.request([document.id], "asked")
    assert await store.sources.in_collection(place) == []
    assert await store.chunks.first_of_documents(place, 5) == []
