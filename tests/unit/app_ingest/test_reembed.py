"""Another embedder takes over in the background; searches go on, and so does it after a crash."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from app.db.next_vectors import NextVectors
from app.db.stamps import EMBEDDER, EMBEDDER_REFERENCE
from app.errors import StorageFull
from app.ingest import reembed
from app.ingest.reembed import Reembedder, ReembedParts
from app.ingest.vector_space import CurrentSearcher, CurrentSpace, VectorSpace
from retrieval.dense_indexes import DenseIndexes
from retrieval.protocols import Float32Array
from retrieval.retriever import Retriever
from retrieval.types import Query
from tests.fakes.ingest_parts import HashEmbedder

pytestmark = pytest.mark.anyio
LINES = [f"line {n}" for n in range(100)]


class Slow(HashEmbedder):
    """Stops for good after `calls` batches, as a killed process does."""

    def __init__(self, calls: int | None = None) -> None:
        super().__init__("hash-2", 16)
        self.left = calls
        self.stopped = asyncio.Event()

    def encode(self, texts: Sequence[str]) -> Float32Array:
        if self.left is not None:
            if self.left == 0:
                raise RuntimeError("killed")
            self.left -= 1
        return super().encode(texts)


class Waiting(HashEmbedder):
    """Is busy with a batch until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go_on = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> Float32Array:
        self.began.set()
        self.go_on.wait(60)
        return super().encode(texts)


class Neutral:
    async def weights(self, chunk_ids: Sequence[int]) -> dict[int, float]:
        return dict.fromkeys(chunk_ids, 0.5)


class Scene:
    """A collection embedded by the first embedder, and how it is searched."""

    def __init__(self, kitchen, old: HashEmbedder) -> None:
        self.kitchen = kitchen
        indexes = DenseIndexes(old.dimension)
        self.space = CurrentSpace(VectorSpace(old, indexes))
        self.searcher = CurrentSearcher(self.retriever(VectorSpace(old, indexes)))
        self.used: list[str] = []

    def retriever(self, space: VectorSpace) -> Retriever:
        lexical = self.kitchen.store.lexical
        return Retriever(lexical, space.indexes, space.embedder, Neutral())  # type: ignore[arg-type]

    def switch(self, space: VectorSpace) -> None:
        self.searcher.switch(self.retriever(space))
        self.space.switch(space)
        self.used.append(space.embedder.identity)

    def reembedder(self, new: HashEmbedder, retry_s: float = 0.01) -> Reembedder:
        store = self.kitchen.store
        parts = ReembedParts(
            collections=store.collections,
            chunks=store.chunks,
            vectors=NextVectors(store.database),
            embedder=new,
            reference="new",
            make_indexes=DenseIndexes,
            switch=self.switch,
            gate=self.kitchen.parts.gate,
        )
        return Reembedder(parts, retry_s)

    async def nearest(self, text: str) -> float | None:
        hits = await self.searcher.search(Query(text, 1, 1))
        return hits[0].similarity


@pytest.fixture
async def scene(kitchen) -> Scene:
    scene = Scene(kitchen, kitchen.embedder)
    scene.kitchen = kitchen.changed(embedder=scene.space, indexes=scene.space)
    await kitchen.store.stamps.use_embedder(kitchen.embedder.identity)
    row = await scene.kitchen.accept("\n".join(LINES).encode())
    await scene.kitchen.pipeline.process(row.id)
    return scene


def indexed(line: str) -> str:
    return f"a.txt\n{line}"


async def test_searches_never_fail_and_change_over_at_once(scene: Scene) -> None:
    store = scene.kitchen.store
    reembedder = scene.reembedder(Slow())
    task = asyncio.create_task(reembedder.run())
    searches = 0
    while not task.done():
        # The very text that was embedded lies at 1 in the old space as in the new one.
        similarity = await scene.nearest(indexed("line 7"))
        assert similarity == pytest.approx(1, abs=1e-5)
        searches += 1
    await task
    assert searches > 3
    assert scene.used == ["hash-2"]
    assert (scene.space.identity, scene.space.dimension) == ("hash-2", 16)
    assert await scene.nearest(indexed("line 7")) == pytest.approx(1, abs=1e-5)
    ids, vectors = await store.chunks.embeddings(1)
    assert vectors.shape == (100, 16)
    assert len(set(ids)) == 100
    assert await store.stamps.get(EMBEDDER) == "hash-2"
    assert await store.stamps.get(EMBEDDER_REFERENCE) == "new"
    assert not await store.stamps.use_embedder("hash-2")


async def test_goes_on_where_it_was_killed(scene: Scene) -> None:
    store = scene.kitchen.store
    with pytest.raises(RuntimeError, match="killed"):
        await scene.reembedder(Slow(calls=2)).run()
    assert scene.used == []
    assert await scene.nearest(indexed("line 7")) == pytest.approx(1, abs=1e-5)
    assert await store.stamps.get(EMBEDDER) == "hash-1"
    left = await NextVectors(store.database).count_missing()
    assert left == 100 - 2 * reembed.BATCH
    again = Slow()
    await scene.reembedder(again).run()
    assert len(again.texts) == left
    assert scene.used == ["hash-2"]


async def test_documents_that_come_and_go_meanwhile(scene: Scene) -> None:
    kitchen = scene.kitchen
    with pytest.raises(RuntimeError):
        await scene.reembedder(Slow(calls=1)).run()
    added = await kitchen.accept(b"brand new", "b.txt")
    await kitchen.pipeline.process(added.id)
    assert (await scene.searcher.search(Query("brand", 1, 1)))[0].chunk_id == 101
    await kitchen.deletions().delete(1)
    await scene.reembedder(Slow()).run()
    ids, vectors = await kitchen.store.chunks.embeddings(1)
    assert (len(ids), vectors.shape) == (1, (1, 16))
    later = await kitchen.accept(b"later still", "c.txt")
    done = await kitchen.pipeline.process(later.id)
    assert done is not None
    assert done.state == "ready"
    _, vectors = await kitchen.store.chunks.embeddings(1)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.shape == (2, 16)


async def test_a_batch_that_was_embedded_before_the_change_is_thrown_away(scene: Scene) -> None:
    kitchen = scene.kitchen
    waiting = Waiting()
    scene.space.switch(VectorSpace(waiting, DenseIndexes(waiting.dimension)))
    added = await kitchen.accept(b"brand new", "b.txt")
    await kitchen.pipeline.step(added.id)
    embedding = asyncio.create_task(kitchen.pipeline.embed([added.id]))
    await asyncio.to_thread(waiting.began.wait, 60)
    await scene.reembedder(Slow()).run()
    waiting.go_on.set()
    await embedding
    done = await kitchen.pipeline.process(added.id)
    assert done is not None
    assert done.state == "ready"
    _, vectors = await kitchen.store.chunks.embeddings(1)
    assert vectors.shape == (101, 16)
    assert (await scene.searcher.search(Query("brand", 1, 1)))[0].chunk_id == 101


async def test_a_third_embedder_forgets_the_second(scene: Scene) -> None:
    with pytest.raises(RuntimeError):
        await scene.reembedder(Slow(calls=1)).run()
    third = HashEmbedder("hash-3", 4)
    await scene.reembedder(third).run()
    _, vectors = await scene.kitchen.store.chunks.embeddings(1)
    assert vectors.shape == (100, 4)


async def test_what_breaks_at_the_end_leaves_the_old_vectors_in_use(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, new = scene.kitchen.store, HashEmbedder("hash-2", 16)
    load, errors = reembed.load_vectors, [MemoryError("no room for another index")]

    async def fail_first(*args: object) -> int:
        if errors:
            raise errors.pop()
        return await load(*args)

    monkeypatch.setattr(reembed, "load_vectors", fail_first)
    with pytest.raises(MemoryError):
        await scene.reembedder(new).run()
    assert await store.stamps.get(EMBEDDER) == "hash-1"
    assert await scene.nearest(indexed("line 7")) == pytest.approx(1, abs=1e-5)
    await scene.kitchen.pipeline.process((await scene.kitchen.accept(b"late", "b.txt")).id)
    await scene.reembedder(new).run()
    assert len(new.texts) == len(LINES) + 1  # nothing twice
    assert await scene.nearest("b.txt\nlate") == pytest.approx(1, abs=1e-5)
    # Taken over, and then cut off before searches followed.
    again = scene.reembedder(new)
    scene.used.clear()
    before = len(new.texts)
    await again.run()
    assert (scene.used, len(new.texts)) == (["hash-2"], before)


async def test_tries_again_in_the_background(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = [StorageFull("full"), RuntimeError("broken")]
    begin = NextVectors.begin

    async def fail_first(self: NextVectors, embedder: str) -> None:
        if errors:
            raise errors.pop()
        await begin(self, embedder)

    monkeypatch.setattr(NextVectors, "begin", fail_first)
    reembedder = scene.reembedder(HashEmbedder("hash-2", 16))
    reembedder.start()
    async with asyncio.timeout(120):
        while not scene.used:
            await asyncio.sleep(0.01)
    await reembedder.stop()
    await reembedder.stop()
    assert scene.used == ["hash-2"]
