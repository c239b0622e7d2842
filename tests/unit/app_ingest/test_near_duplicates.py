"""Near-duplicates at ingest: found, linked, shown, and gone with their document."""

import random

import pytest

from app.db.duplicates import Duplicates
from app.db.job_rows import new_job_id
from app.db.rows import ChunkText
from app.ingest.duplicates import MAX_CANDIDATES, compare, link_duplicates

pytestmark = pytest.mark.anyio
WORDS = ["ship", "ice", "wall", "fort", "tax", "fish", "road", "winter", "king", "grain"]


def passage(seed: int, length: int = 60) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choices(WORDS, k=length))


def changed(text: str, every: int) -> str:
    words = text.split()
    words[::every] = ["other"] * len(words[::every])
    return " ".join(words)


def test_levels() -> None:
    text = passage(1)
    mine = ChunkText(9, text)
    others = [
        ChunkText(1, text.upper().replace(" ", ",  ")),
        ChunkText(2, changed(text, 45)),
        ChunkText(3, changed(text, 4)),
        ChunkText(12, text + " " + passage(2)),
        ChunkText(4, passage(3)),
    ]
    pairs = {(p.chunk_id, p.other_id): (p.level, p.similarity) for p in compare(mine, others)}
    assert set(pairs) == {(9, 1), (9, 2), (12, 9)}
    assert pairs[9, 1] == ("L0", 1.0)
    assert pairs[9, 2][0] == "L1"
    assert 0.6 <= pairs[9, 2][1] < 1
    assert pairs[12, 9] == ("L1", 1.0)  # all of it is in the longer one


async def test_documents_are_linked_through_the_pipeline(kitchen) -> None:
    store = Duplicates(kitchen.store.database)
    pipeline = kitchen.changed(duplicates=store).pipeline
    first = await kitchen.accept(f"{passage(1)}\n{passage(2)}".encode(), "first.txt")
    same = await kitchen.accept(f"{passage(1).title()}\n{passage(5)}".encode(), "same.txt", "t")
    near = await kitchen.accept(changed(passage(2), 45).encode(), "near.txt")
    far = await kitchen.accept(passage(7).encode(), "far.txt")
    for row in (first, same, near, far):
        done = await pipeline.process(row.id)
        assert done is not None
        assert done.state == "ready"  # linked, never dropped
    found = {row.name: row for row in await store.of_document(first.id)}
    assert set(found) == {"same.txt", "near.txt"}
    assert (found["same.txt"].similarity, found["same.txt"].chunks) == (1.0, 1)
    assert 0.6 <= found["near.txt"].similarity < 1
    assert [row.name for row in await store.of_document(near.id)] == ["first.txt"]
    assert await store.of_document(far.id) == []
    assert await link_duplicates(store, [same.id]) == 1
    assert len(await store.of_document(first.id)) == 2
    await kitchen.deletions().delete(same.id)
    assert [row.name for row in await store.of_document(first.id)] == ["near.txt"]


async def test_a_version_on_its_way_is_not_shown(kitchen) -> None:
    store = Duplicates(kitchen.store.database)
    kitchen = kitchen.changed(duplicates=store)
    pipeline = kitchen.pipeline
    other = await kitchen.accept(passage(1).encode(), "other.txt")
    await pipeline.process(other.id)

    async def put(name: str, body: str) -> int:
        sent = (other.collection_id, "s", "key", name, body.encode(), None)
        return (await pipeline.put(*sent, job_id=new_job_id())).document_id

    old = await put("old.txt", passage(1).upper())
    await pipeline.process(old)
    new = await put("new.txt", passage(1).title())
    await pipeline.step(new)
    assert await link_duplicates(store, [new]) == 2
    assert [row.name for row in await store.of_document(other.id)] == ["old.txt"]
    await pipeline.process(new)
    assert [row.name for row in await store.of_document(other.id)] == ["new.txt"]


async def test_repetitions_in_one_document_and_blank_chunks(kitchen) -> None:
    store = Duplicates(kitchen.store.database)
    document = await kitchen.store.add("a", ["!!!", passage(1), passage(1) + "."])
    assert await link_duplicates(store, [document.id]) == 1
    assert await store.of_document(document.id) == []


async def test_collections_do_not_see_each_other(kitchen) -> None:
    store = Duplicates(kitchen.store.database)
    a = await kitchen.store.add("a", [passage(1)], collection="x")
    b = await kitchen.store.add("b", [passage(1)], collection="y")
    for document in (a, b):
        assert await link_duplicates(store, [document.id]) == 0


async def test_boilerplate_is_linked_to_a_few(kitchen) -> None:
    store = Duplicates(kitchen.store.database)
    document = await kitchen.store.add("a", [passage(1)] * (MAX_CANDIDATES + 5))
    pairs = await link_duplicates(store, [document.id])
    assert 0 < pairs <= (MAX_CANDIDATES + 5) * MAX_CANDIDATES
