"""A process that holds a database or dies between its commit and the vector index.

Arguments: what to do, the database's URL, the data directory, the kind of index.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np

from app.db.datadir import DataDir, DataDirLock
from app.db.pgvector import PgVectorIndexes
from app.db.session import Database
from app.ingest.reembed import load_vectors
from retrieval.dense_indexes import DenseIndexes
from tests.fakes.store import Store, make_store

DIMENSION = 16
NUM_CHUNKS = 10


def open_indexes(url: str, kind: str) -> DenseIndexes | PgVectorIndexes:
    if not kind.startswith("pgvector"):
        return DenseIndexes(DIMENSION, kind)
    graph_above = 5 if kind == "pgvector-graph" else 10**9
    return PgVectorIndexes(url, DIMENSION, graph_above)


def vector_of(chunk_id: int) -> np.ndarray:
    vector = np.random.default_rng(chunk_id).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


async def fill(store: Store, name: str) -> int:
    """A document whose chunks are committed and not indexed yet."""
    document = await store.add(name, [f"{name} word{number}" for number in range(NUM_CHUNKS)])
    chunk_ids = [chunk_id for chunk_id, _ in await store.chunks.unembedded(document.id)]
    await store.chunks.save_embeddings(chunk_ids, np.stack([vector_of(n) for n in chunk_ids]))
    return document.id


async def main(what: str, url: str, folder: str, kind: str) -> None:
    with DataDirLock(DataDir.create(Path(folder))):
        database = await Database.open(url)
        async with database.claim():
            if what == "hold":
                sys.stdout.write("held\n")
                sys.stdout.flush()
                await asyncio.sleep(600)
            store = make_store(database, Path(folder))
            indexes = open_indexes(url, kind)
            document_id = await fill(store, "first")
            await load_vectors(store.collections, store.chunks, indexes)
            if what == "die adding":
                await fill(store, "second")
            else:
                await store.removal.delete(document_id)
            os.kill(os.getpid(), signal.SIGKILL)  # what follows would be the index's turn


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
