"""Collections, sources, documents and chunks on a real SQLite file."""

import random
from dataclasses import replace

import numpy as np
import pytest

from app.db import models
from app.db.rows import UncachedRow
from app.errors import (
    ChunkNotFound,
    CollectionExists,
    CollectionNotFound,
    DocumentNotFound,
    InvalidValue,
    SourceNotFound,
)
from retrieval.types import Block
from tests.fakes.store import parsed

pytestmark = pytest.mark.anyio


async def test_collections_are_found_by_name_and_by_id(store) -> None:
    first = await store.collections.create("  papers ")
    notes = await store.collections.create("notes 7")
    assert first.name == "papers"
    assert (await store.collections.find("papers")).id == first.id
    assert (await store.collections.find(str(notes.id))).id == notes.id
    assert [row.id for row in await store.collections.list()] == [first.id, notes.id]
    with pytest.raises(CollectionExists, match="papers"):
        await store.collections.create("papers")
    for name in ("", "  ", "x" * 201, "a\x00b", "line\nbreak", "1", " 07 ", "9" * 30):
        with pytest.raises(InvalidValue):
            await store.collections.create(name)
    for name in ("nowhere", "99", "9" * 30, "²"):
        with pytest.raises(CollectionNotFound):
            await store.collections.find(name)


async def test_an_id_goes_before_a_name_of_digits_that_an_older_database_has(store) -> None:
    first = await store.collections.create("papers")
    async with store.database.transaction() as session:
        session.add(models.Collection(name=str(first.id), created_at=0.0))
        session.add(models.Collection(name="77", created_at=0.0))
    assert (await store.collections.find(str(first.id))).name == "papers"
    assert (await store.collections.find("77")).name == "77"


async def test_half_a_surrogate_pair_does_not_break_a_query(store) -> None:
    with pytest.raises(CollectionNotFound):
        await store.collections.find("\ud800")
    assert await store.lexical.search("\ud800", 1, 5) == []


async def test_collection_counts(store) -> None:
    await store.add("a", ["one", "three"])
    ready = await store.add("b", ["five5"])
    await store.documents.mark_indexed([ready.id])
    await store.documents.mark_ready(ready.id)
    (row,) = await store.collections.list()
    assert (row.documents, row.documents_ready, row.chunks, row.tokens) == (2, 1, 3, 13)


async def test_sources_start_undecided_and_keep_their_strength(store) -> None:
    source = await store.sources.get_or_create("wiki")
    assert (await store.sources.get_or_create(" wiki ")).id == source.id
    assert (source.reliability, source.alpha + source.beta) == (0.5, 4.0)
    changed = await store.sources.set_reliability(source.id, 0.9)
    assert changed.reliability == pytest.approx(0.9)
    assert changed.alpha + changed.beta == pytest.approx(4.0)
    assert (await store.sources.find("wiki")).id == source.id
    assert (await store.sources.find(str(source.id))).id == source.id
    for value in (0, 1, -1, float("nan")):
        with pytest.raises(InvalidValue):
            await store.sources.set_reliability(source.id, value)
    for name in ("x", "99"):
        with pytest.raises(SourceNotFound):
            await store.sources.find(name)
    with pytest.raises(SourceNotFound):
        await store.sources.set_reliability(99, 0.5)


async def test_weights_follow_the_source_of_each_chunk(store) -> None:
    document = await store.add("a", ["one"], source="good")
    other = await store.add("b", ["two"], source="bad")
    await store.sources.set_reliability(document.source_id, 0.8)
    (a, _), (b, _) = [
        *(await store.chunks.unembedded(document.id)),
        *(await store.chunks.unembedded(other.id)),
    ]
    assert await store.sources.weights([a, b, 999]) == {a: pytest.approx(0.8), b: 0.5}
    assert [row.name for row in await store.sources.list()] == ["bad", "good"]
    assert [row.documents for row in await store.sources.list()] == [1, 1]


async def test_same_bytes_same_place_same_document(store) -> None:
    collection = await store.collections.create("c")
    other = await store.collections.create("d")
    source = await store.sources.get_or_create("s")
    first, created = await store.documents.add(collection.id, source.id, "a.txt", b"x", None)
    again, created_again = await store.documents.add(collection.id, source.id, "b.txt", b"x", None)
    assert (created, created_again, again.id) == (True, False, first.id)
    assert first.media_type == "text/plain"
    elsewhere, created = await store.documents.add(other.id, source.id, "a", b"x", None)
    assert created
    assert elsewhere.media_type == "application/octet-stream"
    with pytest.raises(CollectionNotFound):
        await store.documents.add(99, source.id, "a", b"x", None)


async def test_a_document_that_failed_is_tried_under_its_new_name(store) -> None:
    collection = await store.collections.create("c")
    source = await store.sources.get_or_create("s")
    args = (collection.id, source.id)
    first, _ = await store.documents.add(*args, "a.bin", b"x", None, "j")
    await store.documents.mark_failed(first.id, "a.bin is a binary file; send text")
    again, created = await store.documents.add(*args, "a.md", b"x", None, "k")
    assert (again.id, created, again.state) == (first.id, False, "received")
    assert (again.name, again.media_type) == ("a.md", "text/markdown")
    other, _ = await store.documents.add(*args, "b.md", b"x", None, "k")
    assert other.name == "a.md"  # it is on its way


async def test_states_from_received_to_ready(store) -> None:
    document = await store.add("a", ["one", "three"])
    assert document.state == "chunked"
    assert (document.chunks, document.tokens, document.title) == (2, 8, "a title")
    with pytest.raises(DocumentNotFound):
        await store.documents.body(document.id)
    assert await store.documents.text(document.id) == ("a title", "one\nthree")
    rows = await store.chunks.unembedded(document.id)
    assert [text for _, text in rows] == ["a title\none", "a title\nthree"]
    ids = [chunk_id for chunk_id, _ in rows]
    await store.chunks.save_embeddings(ids[:1], np.ones((1, 3), np.float32))
    await store.chunks.save_embeddings(ids, np.full((2, 3), 2, np.float32))
    assert await store.chunks.unembedded(document.id) == []
    await store.documents.mark_ready(document.id)  # not indexed yet: nothing happens
    assert (await store.documents.get(document.id)).state == "chunked"
    await store.documents.mark_indexed([document.id])
    assert await store.documents.pending() == [document.id]
    uncached = await store.chunks.uncached(document.id)
    one, three = tuple(b"one"), tuple(b"three")
    assert uncached == [UncachedRow(ids[0], one, (three,)), UncachedRow(ids[1], three, (one,))]
    await store.chunks.mark_cached(ids[:1])
    await store.documents.mark_ready(document.id)
    row = await store.documents.get(document.id)
    assert (row.state, row.chunks_embedded, row.chunks_cached) == ("ready", 2, 1)
    assert await store.documents.pending() == []
    assert await store.chunks.count() == 2


async def test_a_document_is_parsed_only_once(store) -> None:
    document = await store.add("a", ["one"])
    with pytest.raises(DocumentNotFound):
        await store.documents.save_parsed(document.id, *parsed("a", ["other"]))
    assert (await store.documents.get(document.id)).chunks == 1


async def test_failed_documents_go_back_to_their_last_finished_step(store) -> None:
    parsed_row = await store.add("a", ["one"])
    raw, _ = await store.documents.add(
        parsed_row.collection_id, parsed_row.source_id, "b", b"raw", None
    )
    for row in (parsed_row, raw):
        await store.documents.mark_failed(row.id, "it broke")
    assert (await store.documents.get(raw.id)).error == "it broke"
    assert await store.documents.pending() == []
    again, _ = await store.documents.add(
        parsed_row.collection_id, parsed_row.source_id, "a", b"one", None, "job"
    )
    assert (again.id, again.state) == (parsed_row.id, "chunked")
    retried, created = await store.documents.add(
        parsed_row.collection_id, parsed_row.source_id, "b", b"raw", None, "job"
    )
    assert (retried.id, retried.state, retried.error, created) == (raw.id, "received", None, False)
    assert await store.documents.body(raw.id) == b"raw"


async def test_pages_newest_first(store) -> None:
    ids = [(await store.add(str(n), [str(n)])).id for n in range(5)]
    collection_id = (await store.collections.find("c")).id
    rows, more = await store.documents.list(collection_id, 2)
    assert ([row.id for row in rows], more) == (ids[:2:-1], True)
    rows, more = await store.documents.list(collection_id, 3, after_id=rows[-1].id)
    assert ([row.id for row in rows], more) == ([ids[2], ids[1], ids[0]], False)


async def test_blocks_are_kept_and_tell_where_pages_begin(store) -> None:
    collection = await store.collections.create("c")
    source = await store.sources.get_or_create("s")
    row, _ = await store.documents.add(collection.id, source.id, "a", b"x", None)
    assert await store.documents.blocks(row.id) == []
    document, chunks = parsed("a", ["heading", "first", "second"])
    blocks = (
        Block("heading", 0, 7, level=2, page=1),
        Block("paragraph", 8, 13, page=1),
        Block("table", 14, 20, page=2),
    )
    whole = replace(chunks[0], end=20, text="heading\nfirst\nsecond", page=1)
    await store.documents.save_parsed(row.id, replace(document, blocks=blocks), [whole])
    assert await store.documents.blocks(row.id) == list(blocks)
    (passage,) = await store.chunks.passages([1])
    assert (passage.page, passage.page_starts) == (1, ((14, 2),))
    assert [passage.page_at(place) for place in (0, 13, 14, 19)] == [1, 1, 2, 2]
    await store.removal.request([row.id], "asked")
    with pytest.raises(DocumentNotFound):
        await store.documents.blocks(row.id)
    await store.removal.delete(row.id)


async def test_passages_come_in_the_order_asked_for(store) -> None:
    document = await store.add("a", ["one", "three"])
    first, second = [chunk_id for chunk_id, _ in await store.chunks.unembedded(document.id)]
    rows = await store.chunks.passages([second, 999, first])
    assert [row.chunk_id for row in rows] == [second, first]
    row = await store.chunks.get(second)
    assert row == rows[0]
    assert (row.text, row.start, row.end, row.label) == ("three", 4, 9, "a title")
    assert (row.token_ids, row.source, row.reliability) == (tuple(b"three"), "s", 0.5)
    with pytest.raises(ChunkNotFound):
        await store.chunks.get(999)


async def test_embeddings_of_a_collection(store) -> None:
    a = await store.add("a", ["one"], collection="x")
    b = await store.add("b", ["two"], collection="y")
    ids, vectors = await store.chunks.embeddings(a.collection_id)
    assert (ids, vectors.shape) == ([], (0, 0))
    for document, value in ((a, 0.25), (b, 0.5)):
        ((chunk_id, _),) = await store.chunks.unembedded(document.id)
        await store.chunks.save_embeddings([chunk_id], np.full((1, 4), value, np.float32))
    ids, vectors = await store.chunks.embeddings(b.collection_id)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.full((1, 4), 0.5))
    await store.chunks.save_embeddings([], np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="2 chunks but 1 vectors"):
        await store.chunks.save_embeddings([1, 2], np.zeros((1, 4), np.float32))


async def test_a_sample_is_of_different_documents_and_another_each_time(store) -> None:
    for number in range(12):
        document = await store.add(f"n{number}", [f"one {number}", "two"], source=f"s{number}")
        chunk_ids = [chunk_id for chunk_id, _ in await store.chunks.unembedded(document.id)]
        vectors = np.full((2, 3), number, np.float32)
        await store.chunks.save_embeddings(chunk_ids, vectors)
    await store.add("elsewhere", ["one"], collection="d")
    drawn = []
    for seed in range(6):
        sample = await store.chunks.sample(1, 4, random.Random(seed))
        assert all(vector.tolist() == [source - 1] * 3 for source, vector in sample)
        drawn.append(frozenset(source for source, _ in sample))
    assert {len(sources) for sources in drawn} == {4}
    assert len(set(drawn)) > 1
    assert len(await store.chunks.sample(1, 100, random.Random(0))) == 12
    assert await store.chunks.sample(2, 100, random.Random(0)) == []


async def test_missing_rows(store) -> None:
    for call in (store.documents.get, store.documents.text, store.documents.body):
        with pytest.raises(DocumentNotFound):
            await call(7)
    with pytest.raises(DocumentNotFound):
        await store.removal.delete(7)
