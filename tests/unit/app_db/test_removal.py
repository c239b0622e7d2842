"""A deleted document is gone, from the bytes of the file too."""

import numpy as np
import pytest
from sqlalchemy import text

from app.db.removal import Removal

pytestmark = pytest.mark.anyio


async def counts(store) -> dict[str, int]:
    tables = ("documents", "document_bodies", "chunks", "embeddings", "run_documents")
    async with store.database.session() as session:
        return {name: await session.scalar(text(f"SELECT count(*) FROM {name}")) for name in tables}


async def test_every_row_goes(store) -> None:
    document = await store.add("a", ["one", "two"])
    ids = [chunk_id for chunk_id, _ in await store.chunks.unembedded(document.id)]
    await store.chunks.save_embeddings(ids, np.ones((2, 3), np.float32))
    raw, _ = await store.documents.add(
        document.collection_id, document.source_id, "raw", b"raw bytes", None
    )
    deleted = await store.removal.delete(document.id)
    assert deleted.chunk_ids == tuple(ids)
    assert set(deleted.token_ids) == {tuple(b"one"), tuple(b"two")}
    assert deleted.collection_id == document.collection_id
    assert await counts(store) == {
        "documents": 1,
        "document_bodies": 1,
        "chunks": 0,
        "embeddings": 0,
        "run_documents": 0,
    }
    await store.removal.delete(raw.id)
    assert sum((await counts(store)).values()) == 0


async def test_shared_passages_are_not_purged(store) -> None:
    a = await store.add("a", ["shared", "mine", "mine"])
    b = await store.add("b", ["shared", "yours"])
    deleted = await store.removal.delete(a.id)
    assert deleted.token_ids == (tuple(b"mine"),)
    deleted = await store.removal.delete(b.id)
    assert set(deleted.token_ids) == {tuple(b"shared"), tuple(b"yours")}


async def test_pending_purges_last_until_done_or_needed_again(store) -> None:
    document = await store.add("a", ["one", "two"])
    await store.removal.delete(document.id)
    assert len(await store.removal.pending_purges()) == 2
    await store.add("again", ["two", "three"])
    again = Removal(store.database)  # as after a restart
    (purge,) = await again.pending_purges()
    assert purge.token_ids == tuple(b"one")
    await again.mark_purged([purge.id])
    assert await again.pending_purges() == []


async def test_no_byte_of_it_stays_in_the_files(sqlite_store) -> None:
    store = sqlite_store
    word = "zyxwvut"
    await store.add("kept", [f"common {n} words" for n in range(40)])
    document = await store.add(f"{word}.txt", [f"{word} {n} here" for n in range(40)])
    raw, _ = await store.documents.add(
        document.collection_id, document.source_id, "raw", f"{word} raw".encode() * 3000, None
    )
    await store.database.checkpoint()
    assert word.encode() in store.path.read_bytes()
    await store.removal.request([document.id, raw.id], "asked")
    await store.removal.delete(document.id)
    await store.removal.delete(raw.id)
    await store.removal.sweep()
    for path in store.path.parent.iterdir():
        assert word.encode() not in path.read_bytes(), path.name
