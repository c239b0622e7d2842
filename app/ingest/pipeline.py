"""The write path: bytes, text, chunks, vectors, KV. Knows no HTTP and no SQL.

Every step starts from what the database says and ends with a commit, so it can be cut off at any
moment and started again: a restart repeats at most one batch and leaves nothing twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.db.chunks import Chunks
from app.db.documents import NO_FACTS, Documents
from app.db.rows import DocumentFacts, DocumentRow, DocumentState
from app.db.sources import Sources
from app.decoder.types import Passage
from app.errors import DocumentEmpty, DocumentNotFound, DocumentTooLarge, StorageFull
from app.ingest.protocols import Decoder, Parse, Split, VectorIndexes
from app.ingest.types import IngestConfig
from retrieval.errors import EmptyDocument, ParseError, RetrievalError
from retrieval.protocols import Embedder

MAX_NAME_LEN = 255
INTERNAL_ERROR = "something went wrong inside Larder; its log has the details"

log = logging.getLogger(__name__)

Step = Callable[[DocumentRow], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the pipeline works with. `gate` is held while a batch is made, and by a delete."""

    sources: Sources
    documents: Documents
    chunks: Chunks
    parse: Parse
    split: Split
    embedder: Embedder
    indexes: VectorIndexes
    decoder: Decoder
    gate: asyncio.Lock


class IngestPipeline:
    def __init__(self, parts: IngestParts, config: IngestConfig) -> None:
        self._parts = parts
        self._config = config
        self._tried: set[int] = set()  # documents whose parsing this process has counted
        self._steps: dict[DocumentState, Step] = {
            "received": self._parse_and_split,
            "chunked": self._embed_batch,
            "indexed": self._precompute_batch,
        }

    async def accept(
        self,
        collection_id: int,
        source_name: str,
        name: str,
        body: bytes,
        media_type: str | None,
        facts: DocumentFacts = NO_FACTS,
    ) -> tuple[DocumentRow, bool]:
        """Keep the bytes; once this returns, they survive a crash. False: they were here already.

        A document that had failed is tried again when its bytes are sent again.
        """
        if not body:
            raise DocumentEmpty(f"{name} is empty")
        if len(body) > self._config.max_document_bytes:
            raise DocumentTooLarge(
                f"{name} has {len(body):,} bytes; the limit is "
                f"{self._config.max_document_bytes:,} (LARDER_MAX_DOCUMENT_BYTES)"
            )
        parts = self._parts
        source = await parts.sources.get_or_create(source_name)
        row, created = await parts.documents.add(
            collection_id, source.id, clean_name(name), body, media_type, facts
        )
        if row.state == "failed":
            row = await parts.documents.retry(row.id)
        return row, created

    async def process(self, document_id: int) -> DocumentRow | None:
        """Go on from the recorded state to `ready` or `failed`; None where it was deleted."""
        row = await self._find(document_id)
        while row is not None and row.state in self._steps:
            row = await self.advance(document_id)
        return row

    async def advance(self, document_id: int) -> DocumentRow | None:
        """One batch of the next step. What went wrong is recorded on the document.

        Raises only `StorageFull`: that is not the document's fault and may pass.
        """
        row = await self._find(document_id)
        if row is None or row.state not in self._steps:
            return row
        try:
            await self._steps[row.state](row)
        except DocumentNotFound:
            log.info("document %d was deleted while it was %s", document_id, row.state)
        except StorageFull:
            raise
        except RetrievalError as error:
            await self._fail(document_id, str(error))
        except Exception:
            log.exception("document %d failed while it was %s", document_id, row.state)
            await self._fail(document_id, INTERNAL_ERROR)
        return await self._find(document_id)

    async def _parse_and_split(self, row: DocumentRow) -> None:
        parts = self._parts
        await self._count_attempt(row.id)
        body = await parts.documents.body(row.id)
        document = await asyncio.to_thread(parts.parse, body, row.name, row.media_type)
        chunks = await asyncio.to_thread(parts.split, document)
        if not chunks:
            raise EmptyDocument("there is no text in it")
        await parts.documents.save_parsed(row.id, document, chunks)
        self._tried.discard(row.id)

    async def _count_attempt(self, document_id: int) -> None:
        """Give up on bytes that end the process each time; once a process, so that trying again
        after a full disk does not count."""
        if document_id in self._tried:
            return
        attempts = await self._parts.documents.begin_parse(document_id)
        if attempts > self._config.max_parse_attempts:
            raise ParseError(f"reading it stopped the server {attempts - 1} times")
        self._tried.add(document_id)

    async def _embed_batch(self, row: DocumentRow) -> None:
        parts = self._parts
        async with parts.gate:
            batch = await parts.chunks.unembedded(row.id, self._config.embed_batch)
            if not batch:
                await parts.documents.mark_indexed(row.id)
                return
            chunk_ids = [chunk_id for chunk_id, _ in batch]
            vectors = await asyncio.to_thread(parts.embedder.encode, [text for _, text in batch])
            await parts.chunks.save_embeddings(chunk_ids, vectors)
            await asyncio.to_thread(parts.indexes.add, row.collection_id, chunk_ids, vectors)

    async def _precompute_batch(self, row: DocumentRow) -> None:
        """Chunks beyond the store's budget stay without KV; a question computes what it needs."""
        parts = self._parts
        async with parts.gate:
            uncached = await parts.chunks.uncached(row.id, self._config.precompute_batch)
            batch = [Passage(chunk.id, chunk.token_ids, chunk.primers) for chunk in uncached]
            stored = await self._precompute(batch)
            await parts.chunks.mark_cached(stored)
        if not batch or len(stored) < len(batch):
            await parts.documents.mark_ready(row.id)

    async def _precompute(self, batch: Sequence[Passage]) -> list[int]:
        """Ids of the chunks whose KV is in the store now."""
        if not batch:
            return []
        decoder = self._parts.decoder
        report = await decoder.precompute(batch)
        if not report.left:
            return [passage.chunk_id for passage in batch]
        log.info("%d chunks were left without KV: %s", report.left, report.reason)
        if len(batch) == 1:
            return []
        # The report counts but does not name; one at a time, those that are stored answer at once.
        return [
            passage.chunk_id for passage in batch if not (await decoder.precompute([passage])).left
        ]

    async def _fail(self, document_id: int, message: str) -> None:
        self._tried.discard(document_id)
        await self._parts.documents.mark_failed(document_id, message)

    async def _find(self, document_id: int) -> DocumentRow | None:
        try:
            return await self._parts.documents.get(document_id)
        except DocumentNotFound:
            return None


def clean_name(name: str) -> str:
    """The last part of a client's path, printable and of bearable length."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(char for char in last if char.isprintable()).strip()
    return shown[-MAX_NAME_LEN:] or "untitled"
