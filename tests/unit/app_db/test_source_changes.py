"""What people change about sources, and that each change is noted."""

import pytest

from app.db.job_rows import JobStep
from app.db.selection import ChunkSelection
from app.errors import InvalidValue, SourceExists, SourceNotFound
from retrieval.types import Filter

pytestmark = pytest.mark.anyio


async def test_a_renamed_source_is_found_under_both_names(store) -> None:
    document = await store.add("a", ["one"], source="gazette")
    source = document.source_id
    await store.source_changes.rename(source, " County Gazette ", "mara")
    for name in ("gazette", "County Gazette"):
        assert (await store.sources.find(name)).id == source
        assert (await store.sources.get_or_create(name)).id == source
    assert (await store.documents.get(document.id)).source == "County Gazette"
    assert await store.source_changes.aliases(source) == ["gazette"]
    (event,) = await store.source_changes.events([source], 10)
    assert (event.action, event.detail) == ("renamed", "gazette -> County Gazette")
    await store.source_changes.rename(source, "gazette", "mara")
    assert await store.source_changes.aliases(source) == ["County Gazette"]
    await store.source_changes.rename(source, "gazette", "mara")  # as it is called already


async def test_a_taken_name_is_refused(store) -> None:
    a, b, c = [await store.sources.get_or_create(name) for name in "abc"]
    await store.source_changes.rename(c.id, "d", "mara")
    for name in ("b", "c"):
        with pytest.raises(SourceExists, match="merge"):
            await store.source_changes.rename(a.id, name, "mara")
    with pytest.raises(InvalidValue):
        await store.source_changes.rename(b.id, "  ", "mara")
    with pytest.raises(SourceNotFound):
        await store.source_changes.rename(99, "x", "mara")


async def test_a_merged_source_answers_as_the_other_until_separated(store) -> None:
    document = await store.add("a", ["one"], source="mirror")
    mirror = document.source_id
    paper, group = [await store.sources.get_or_create(name) for name in ("paper", "group")]
    await store.sources.set_reliability(paper.id, 0.9)
    await store.source_changes.merge(mirror, paper.id, "mara")
    (chunk_id, _), *_ = await store.chunks.unembedded(document.id)
    passage = await store.chunks.get(chunk_id)
    assert (passage.source_id, passage.source) == (paper.id, "paper")
    assert passage.reliability == pytest.approx(0.9)
    assert (await store.sources.weights([chunk_id]))[chunk_id] == pytest.approx(0.9)
    for wanted, ids in [
        (Filter(sources=frozenset({"paper"})), [chunk_id]),  # as results name it
        (Filter(sources=frozenset({"mirror"})), [chunk_id]),
        (Filter(sources=frozenset({"group"})), []),
        (Filter(min_reliability=0.8), [chunk_id]),
    ]:
        selected = await ChunkSelection(store.database).chunk_ids(document.collection_id, wanted)
        assert selected.tolist() == ids
        hits = await store.lexical.search("one", document.collection_id, 5, wanted)
        assert [number for number, _ in hits] == ids
    await store.source_changes.merge(paper.id, group.id, "mara")
    assert (await store.sources.get(mirror)).owner == group.id
    with pytest.raises(InvalidValue, match="itself"):
        await store.source_changes.merge(group.id, mirror, "mara")
    await store.source_changes.separate(mirror, "mara")
    assert (await store.sources.get(mirror)).owner == mirror
    with pytest.raises(InvalidValue, match="not merged"):
        await store.source_changes.separate(mirror, "mara")
    actions = [event.action for event in await store.source_changes.events([mirror], 10)]
    assert actions == ["separated", "merged"]


async def test_quarantine_takes_passages_out_of_the_ranking(store) -> None:
    document = await store.add("a", ["one"], source="liar")
    other = await store.add("b", ["two"], source="honest")
    chunk_ids = [
        chunk_id
        for row in (document, other)
        for chunk_id, _ in await store.chunks.unembedded(row.id)
    ]
    for row in (document, other):
        await store.documents.mark_indexed([row.id])
    both = await store.sources.in_collection(document.collection_id)
    assert both == [document.source_id, other.source_id]
    await store.source_changes.set_state(document.source_id, "quarantined", "mara", "sold")
    await store.source_changes.set_state(document.source_id, "quarantined", "mara", "again")
    assert list(await store.sources.weights(chunk_ids)) == chunk_ids[1:]
    assert await store.sources.in_collection(document.collection_id) == [other.source_id]
    await store.source_changes.set_state(document.source_id, "active", "mara")
    assert list(await store.sources.weights(chunk_ids)) == chunk_ids
    events = await store.source_changes.events([document.source_id], 10)
    assert [(event.action, event.detail) for event in events] == [
        ("released", ""),
        ("quarantined", "sold"),
    ]


async def test_what_waits_for_its_removal_leaves_no_gap(store) -> None:
    going, staying = await store.add("a", ["one"]), await store.add("b", ["two"])
    chunk_ids = [
        chunk_id
        for row in (going, staying)
        for chunk_id, _ in await store.chunks.unembedded(row.id)
    ]
    assert await store.sources.are_all_found()
    job_id = await store.removal.request([going.id], "asked")
    assert list(await store.sources.weights(chunk_ids)) == chunk_ids[1:]
    assert not await store.sources.are_all_found()
    job = await store.leases.claim(["delete"], {})
    await store.leases.keep(job_id, JobStep(stage="kv", retry_in_s=30.0))
    assert job.id == job_id
    assert await store.sources.are_all_found()  # only a tier is waited for


async def test_whoever_is_merged_into_a_quarantined_source_is_out_too(store) -> None:
    document = await store.add("a", ["one"], source="mirror")
    liar = await store.sources.get_or_create("liar")
    (chunk_id, _), *_ = await store.chunks.unembedded(document.id)
    await store.source_changes.merge(document.source_id, liar.id, "mara")
    await store.source_changes.set_state(liar.id, "quarantined", "mara")
    assert await store.sources.weights([chunk_id]) == {}


async def test_a_class_sets_where_a_source_starts(store) -> None:
    source = await store.sources.get_or_create("s")
    await store.source_changes.set_class(source.id, "curated", (5.0, 1.0), "mara")
    row = await store.sources.get(source.id)
    assert (row.class_name, row.prior_alpha, row.prior_beta) == ("curated", 5.0, 1.0)
    await store.source_changes.note(source.id, "stated", "0.9", "mara")
    actions = [event.action for event in await store.source_changes.events([source.id], 10)]
    assert actions == ["stated", "classed"]
