"""What is done once before serving: check what the indexes were made with, and fill them.

Vectors live in the database, the indexes hold copies; words are indexed by the database itself.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass

from app.db import tokens
from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.jobs import Jobs
from app.db.stamps import Stamps
from app.ingest.protocols import Decoder, VectorIndexes
from app.ingest.remove import Remover
from retrieval.protocols import Embedder

# Scripts, digits and spaces on which tokenizers differ.
PROBE_LABEL = "Larder > Probe 1"
PROBE_TEXT = "The naïve café opens 08:30, closes at 1,234.5 m.\n\n\t价格 Ωμέγα русский 🙂 don't"

BATCH = 100_000  # vectors in memory at once: 150 MB of MiniLM's

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartupParts:
    collections: Collections
    chunks: Chunks
    stamps: Stamps
    embedder: Embedder
    indexes: VectorIndexes
    decoder: Decoder
    remover: Remover
    jobs: Jobs


async def prepare(parts: StartupParts) -> int:
    """Returns how many vectors were loaded. Call it before the worker starts."""
    await _follow_models(parts)
    purged = await parts.remover.finish_deletes()
    if purged.entries:
        log.info("purged %d KV entries of documents deleted before", purged.entries)
    if adopted := await parts.jobs.adopt_documents():
        log.info("%d documents are on their way", adopted)
    await parts.jobs.forget_old()
    return await load_vectors(parts.collections, parts.chunks, parts.indexes)


async def _follow_models(parts: StartupParts) -> None:
    decoder = parts.decoder
    if await parts.stamps.use_tokenizer(decoder_stamp(decoder), decoder.encode_passage):
        log.warning("the decoder changed: passages were tokenised again, their KV will be computed")
    if await parts.stamps.use_embedder(parts.embedder.identity):
        log.warning("the embedder changed: every document will be embedded again")


def decoder_stamp(decoder: Decoder) -> str:
    """Changes with the decoder's weights, number format, tokenizer and prompt template."""
    probe = tokens.pack(decoder.encode_passage(PROBE_LABEL, PROBE_TEXT))
    return hashlib.sha256(f"{decoder.name}\n{decoder.identity}\n".encode() + probe).hexdigest()


async def load_vectors(collections: Collections, chunks: Chunks, indexes: VectorIndexes) -> int:
    """Every index holds exactly the vectors of the database afterwards; how many were missing.

    An index that outlives the process may lack what was committed before a crash, and hold what
    was deleted.
    """
    return sum([await _agree(chunks, indexes, row.id) for row in await collections.list()])


async def _agree(chunks: Chunks, indexes: VectorIndexes, collection_id: int) -> int:
    held = set((await asyncio.to_thread(indexes.ids, collection_id)).tolist())
    wanted = set(await chunks.embedded(collection_id))
    if surplus := sorted(held - wanted):
        await asyncio.to_thread(indexes.remove, collection_id, surplus)
    missing = wanted - held
    last_id = min(missing, default=0) - 1
    num_added = 0
    while num_added < len(missing):
        chunk_ids, vectors = await chunks.embeddings(collection_id, last_id, BATCH)
        if not chunk_ids:
            break
        new = [at for at, chunk_id in enumerate(chunk_ids) if chunk_id in missing]
        added = [chunk_ids[at] for at in new]
        await asyncio.to_thread(indexes.add, collection_id, added, vectors[new])
        num_added += len(new)
        last_id = chunk_ids[-1]
    return num_added
