"""Another embedder or tokenizer means work to do again, never a mixture."""

import numpy as np
import pytest

from app.db import stamps

pytestmark = pytest.mark.anyio


async def ready(store, name: str, passages: list[str]) -> int:
    document = await store.add(name, passages)
    ids = [chunk_id for chunk_id, _ in await store.chunks.unembedded(document.id)]
    await store.chunks.save_embeddings(ids, np.ones((len(ids), 3), np.float32))
    await store.chunks.mark_cached(ids)
    await store.documents.mark_indexed([document.id])
    await store.documents.mark_ready(document.id)
    return document.id


async def test_a_new_embedder_means_embedding_again(store) -> None:
    assert not await store.stamps.use_embedder("one")
    document_id = await ready(store, "a", ["one"])
    assert not await store.stamps.use_embedder("one")
    assert (await store.documents.get(document_id)).state == "ready"
    assert await store.stamps.use_embedder("two")
    row = await store.documents.get(document_id)
    assert (row.state, row.chunks_embedded, row.chunks_cached) == ("chunked", 0, 1)


async def test_a_new_tokenizer_means_new_token_ids_and_old_kv_purged(
    store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "BATCH", 2)

    def encode(label: str, passage: str) -> tuple[int, ...]:
        return (7, *passage.encode()) if passage != "two" else tuple(passage.encode())

    assert not await store.stamps.use_tokenizer("one", encode)
    document_id = await ready(store, "a", ["one", "two", "three"])
    assert not await store.stamps.use_tokenizer("one", encode)
    assert await store.stamps.use_tokenizer("two", encode)
    row = await store.documents.get(document_id)
    assert (row.state, row.chunks_embedded, row.chunks_cached, row.tokens) == ("indexed", 3, 0, 13)
    ids = [chunk.token_ids for chunk in await store.chunks.uncached(document_id)]
    assert ids == [(7, *b"one"), tuple(b"two"), (7, *b"three")]
    purges = await store.removal.pending_purges()
    assert {purge.token_ids for purge in purges} == {tuple(b"one"), tuple(b"three")}
