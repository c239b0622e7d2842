"""The write path: bytes, text, chunks, vectors, KV. Knows no HTTP and no SQL.

Every step starts from what the database says and ends with a commit, so it can be cut off at any
moment and started again: a restart repeats at most one batch and leaves nothing twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.db.chunks import Chunks
from app.db.documents import Documents
from app.db.ingest_work import IngestWork
from app.db.job_rows import new_job_id
from app.db.rows import NO_FACTS, DocumentFacts, DocumentRow, DocumentState
from app.db.sources import Sources
from app.db.versions import NewVersion, Put, Versions
from app.decoder.types import Passage
from app.errors import (
    DocumentEmpty,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidValue,
)
from app.ingest.duplicates import DuplicateStore, link_duplicates
from app.ingest.protocols import Decoder, Parse, Split, VectorIndexes
from app.ingest.types import IngestConfig
from retrieval.errors import EmptyDocument, ParseError, RetrievalError
from retrieval.protocols import Embedder, Float32Array

MAX_NAME_LEN = 255
MAX_EXTERNAL_ID_BYTES = 2000  # it is indexed, and an entry of PostgreSQL takes 2,704 at most

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
    work: IngestWork
    versions: Versions
    duplicates: DuplicateStore | None = None  # None: they are not looked for


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
        job_id: str | None = None,
        facts: DocumentFacts = NO_FACTS,
    ) -> tuple[DocumentRow, bool]:
        """Keep the bytes; once this returns, they survive a crash. False: they were here already.

        The document becomes an item of the job, which is made if need be. One that had failed is
        tried again when its bytes are sent again.
        """
        self.check_size(name, body)
        source = await self._parts.sources.get_or_create(source_name)
        return await self._parts.documents.add(
            collection_id,
            source.id,
            clean_name(name),
            body,
            media_type,
            job_id or new_job_id(),
            facts,
        )

    async def put(
        self,
        collection_id: int,
        source_name: str,
        external_id: str,
        name: str,
        body: bytes,
        media_type: str | None,
        job_id: str,
        if_match: str | None = None,
        facts: DocumentFacts = NO_FACTS,
    ) -> Put:
        """As `accept`, under the sender's own name: other bytes take the place of the older ones
        once they can be found. Raises `PreconditionFailed` (see `Versions.put`)."""
        if len(external_id.encode("utf-8", "replace")) > MAX_EXTERNAL_ID_BYTES:
            raise InvalidValue(f"an external id has at most {MAX_EXTERNAL_ID_BYTES:,} bytes")
        self.check_size(name, body)
        source = await self._parts.sources.get_or_create(source_name)
        new = NewVersion(
            collection_id, source.id, external_id, clean_name(name), body, media_type, facts
        )
        return await self._parts.versions.put(new, job_id, if_match)

    def check_size(self, name: str, body: bytes) -> None:
        """Raises `DocumentEmpty` or `DocumentTooLarge`."""
        if not body:
            raise DocumentEmpty(f"{name} is empty")
        if len(body) > self._config.max_document_bytes:
            raise DocumentTooLarge(
                f"{name} has {len(body):,} bytes; the limit is "
                f"{self._config.max_document_bytes:,} (LARDER_MAX_DOCUMENT_BYTES)"
            )

    async def embed(self, document_ids: Sequence[int]) -> None:
        """One batch over several chunked documents; those it is through with can be found then,
        or, where it is a full one, beside the next batch: the model has the cores meanwhile.

        Raises what the embedder raises: nobody can know whose fault it is, so the job goes on with
        one document at a time.
        """
        parts = self._parts
        embedder = parts.embedder.identity
        batch = await parts.work.unembedded(document_ids, self._config.embed_batch)
        # A full batch may end within a document; those behind that one were not looked at.
        is_full = len(batch) == self._config.embed_batch
        last = batch[-1].document_id if is_full else max(document_ids) + 1
        missing = {chunk.document_id for chunk in batch}
        complete = [one for one in document_ids if one < last and one not in missing]
        if not batch:
            return await self._make_findable(complete)
        chunk_ids, texts = [chunk.chunk_id for chunk in batch], [chunk.text for chunk in batch]
        encoding = asyncio.create_task(asyncio.to_thread(parts.embedder.encode, texts))
        try:
            await self._make_findable(complete)
        finally:
            vectors = await encoding
        async with parts.gate:
            if parts.embedder.identity != embedder:
                return None  # another one took over meanwhile and embedded these chunks itself
            kept = await parts.chunks.save_embeddings(chunk_ids, vectors)
            await self._index(kept, chunk_ids, vectors)
        return None if is_full else await self._make_findable(sorted(missing))

    async def _make_findable(self, document_ids: Sequence[int]) -> None:
        """The last steps of documents all of whose chunks have vectors: in two commits for all of
        them, since one of each a document took a fifth of the time that embedding takes."""
        if not document_ids:
            return
        async with self._parts.gate:
            await self._link_duplicates(document_ids)
            await self._mark_indexed(document_ids)

    async def process(self, document_id: int) -> DocumentRow | None:
        """Go on from the recorded state to `ready` or `failed`; None where it was deleted."""
        row = await self._find(document_id)
        while row is not None and row.state in self._steps:
            row = await self.advance(document_id)
        return row

    async def advance(self, document_id: int) -> DocumentRow | None:
        """One batch of the next step. What is wrong with the document is recorded on it.

        Raises everything else, such as a full disk: not the document's fault, and it may pass.
        """
        await self.step(document_id)
        return await self._find(document_id)

    async def step(self, document_id: int) -> None:
        """`advance` for those who do not ask what became of it."""
        row = await self._find(document_id)
        if row is None or row.state not in self._steps:
            return
        try:
            await self._steps[row.state](row)
        except DocumentNotFound:
            log.info("document %d was deleted while it was %s", document_id, row.state)
        except RetrievalError as error:
            await self._fail(document_id, str(error))

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
        await self.embed([row.id])

    async def _index(
        self, kept: Mapping[int, int], chunk_ids: Sequence[int], vectors: Float32Array
    ) -> None:
        """Vectors of chunks that can be found, into their collections' indexes."""
        by_collection: dict[int, list[int]] = {}
        for place, chunk_id in enumerate(chunk_ids):
            if chunk_id in kept:
                by_collection.setdefault(kept[chunk_id], []).append(place)
        for collection_id, places in by_collection.items():
            ids = [chunk_ids[place] for place in places]
            # Not in the loop: some indexes are built anew now and then.
            await asyncio.to_thread(self._parts.indexes.add, collection_id, ids, vectors[places])

    async def _mark_indexed(self, document_ids: Sequence[int]) -> None:
        parts, is_ready = self._parts, not self._config.stores_kv
        for swap in await parts.documents.mark_indexed(document_ids, is_ready=is_ready):
            # Between these lines a search may find both versions or none.
            collection_id = swap.collection_id
            await asyncio.to_thread(parts.indexes.remove, collection_id, swap.old_chunk_ids)
            await asyncio.to_thread(parts.indexes.add, collection_id, swap.chunk_ids, swap.vectors)

    async def _link_duplicates(self, document_ids: Sequence[int]) -> None:
        if self._parts.duplicates is None:
            return
        pairs = await link_duplicates(self._parts.duplicates, document_ids)
        if pairs:
            log.info("%d documents: %d pairs of near-duplicates", len(document_ids), pairs)

    async def _precompute_batch(self, row: DocumentRow) -> None:
        """Chunks beyond the store's budget stay without KV; a question computes what it needs."""
        parts = self._parts
        if not self._config.stores_kv:
            await parts.documents.mark_ready(row.id)
            return
        async with parts.gate:
            uncached = await parts.chunks.uncached(row.id, self._config.precompute_batch)
            batch = [Passage(chunk.id, chunk.token_ids, chunk.primers) for chunk in uncached]
            stored = await self._precompute(batch)
            if stored:
                await parts.chunks.mark_cached(stored)
        if len(stored) < self._config.precompute_batch:
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
