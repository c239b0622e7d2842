"""What is done once before serving: check what the indexes were made with, and fill them.

Vectors live in the database, the indexes hold copies; words are indexed by the database itself.
"""

import hashlib
import logging
from dataclasses import dataclass

from app.db import tokens
from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.jobs import Jobs
from app.db.stamps import Stamps
from app.ingest.protocols import Decoder, VectorIndexes
from app.ingest.reembed import load_vectors
from app.ingest.remove import Remover
from retrieval import segmentation
from retrieval.protocols import Embedder

# Scripts, digits and spaces on which tokenizers differ.
PROBE_LABEL = "Larder > Probe 1"
PROBE_TEXT = "The naïve café opens 08:30, closes at 1,234.5 m.\n\n\t价格 Ωμέγα русский 🙂 don't"

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
    if await parts.stamps.use_words(segmentation.VERSION):
        log.warning("words are folded another way now: the index over them was made anew")
    if await parts.stamps.use_tokenizer(decoder_stamp(decoder), decoder.encode_passage):
        log.warning("the decoder changed: passages were tokenised again, their KV will be computed")
    if await parts.stamps.use_embedder(parts.embedder.identity):
        # The one before cannot be loaded any more, or it would still be in use (see reembed).
        log.warning(
            "the embedder changed and the one before is gone: every document is embedded again"
        )


def decoder_stamp(decoder: Decoder) -> str:
    """Changes with the decoder's weights, number format, tokenizer and prompt template."""
    probe = tokens.pack(decoder.encode_passage(PROBE_LABEL, PROBE_TEXT))
    return hashlib.sha256(f"{decoder.name}\n{decoder.identity}\n".encode() + probe).hexdigest()
