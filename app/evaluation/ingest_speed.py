"""How fast documents are taken in (`larder bench ingest`): each stage alone, then all together.

Everything is the real thing: parser in its child process, SQLite, FAISS, embedder, decoder. The
whole pipeline runs without KV, which is slower than all else by far and is measured by itself.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from app.bootstrap import Container, Models, Storage, open_container, open_storage
from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from app.evaluation.bench_model import Bench
from app.evaluation.ingest_corpus import BenchDocument
from app.ingest.types import IngestConfig
from app.settings import Settings
from kvstore.config import ReuseConfig
from kvstore.types import Segment
from retrieval.chunking import chunk
from retrieval.config import ParseLimits
from retrieval.dense_indexes import DenseIndexes
from retrieval.embedding import SentenceEmbedder
from retrieval.errors import ParseError
from retrieval.parsing.pool import ParserPool
from retrieval.types import Chunk, Document

if TYPE_CHECKING:
    from app.db.datadir import DataDir
    from app.decoder.service import DecoderService

Row = dict[str, object]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parsed:
    document: Document
    chunks: list[Chunk]


class TokensOnly:
    """A decoder that tokenises passages and leaves every KV for later."""

    dtype = "none"

    def __init__(self, bench: Bench) -> None:
        self._template = bench.template
        self.name = self.identity = "tokens-only"

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        return PrecomputeReport(0, 0, len(passages), 0, "not_measured")

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:  # noqa: ARG002
        return PurgeReport(0, 0)


def bench_ingest(
    settings: Settings,
    bench: Bench,
    embedder: SentenceEmbedder,
    documents: Sequence[BenchDocument],
    *,
    kv_chunks: int,
    note: Note,
) -> list[Row]:
    """Rows of stage, items_per_s and unit; ratios are of rates taken in this run."""
    decoder = TokensOnly(bench)
    note("parse and chunk")
    parsed, rows = _parse_and_chunk(documents, decoder)
    chunks = [found for one in parsed for found in one.chunks]
    note(f"embed {len(chunks):,} chunks")
    rows += _embed(embedder, [f"{found.label}\n{found.text}" for found in chunks])
    note("index")
    rows.append(asyncio.run(_index(settings, documents, parsed, embedder.dimension)))
    note("all together")
    seconds = asyncio.run(_pipeline(settings, decoder, embedder, documents))
    slowest = min(len(chunks) / cast(float, row["seconds"]) for row in rows if "of" not in row)
    rate = len(chunks) / seconds
    rows.append(
        _row("pipeline", rate, "chunks", seconds) | {"of": "slowest", "ratio": rate / slowest}
    )
    rows.append(
        _row("pipeline", len(documents) / seconds, "documents", seconds) | {"of": "pipeline"}
    )
    if kv_chunks:
        note("KV")
        rows.append(_kv(bench, chunks[:kv_chunks]))
    return rows


def bench_memory_flat(
    settings: Settings,
    bench: Bench,
    embedder: SentenceEmbedder,
    documents: Sequence[BenchDocument],
) -> Row:
    """Memory of this process after a tenth of the documents and after all of them."""
    held: list[tuple[int, int]] = []

    def look(done: int) -> None:
        held.append((done, resident_bytes()))

    seconds = asyncio.run(_pipeline(settings, TokensOnly(bench), embedder, documents, look))
    first = next(size for done, size in held if done >= len(documents) / 10)
    last = held[-1][1]
    return _row("memory", len(documents) / seconds, "documents", seconds) | {
        "of": "after a tenth",
        "ratio": last / first,
        "mib": round(last / 2**20),
    }


def resident_bytes() -> int:
    """Of this process now; where the system does not say, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _parse_and_chunk(
    documents: Sequence[BenchDocument], decoder: TokensOnly
) -> tuple[list[Parsed], list[Row]]:
    read: list[Document] = []
    with closing(ParserPool(ParseLimits())) as pool:
        started = time.perf_counter()
        for document in documents:
            try:
                read.append(pool.parse(document.body, document.name))
            except ParseError:
                continue  # a file that is no text after all; the pipeline fails it as well
        parse_s = time.perf_counter() - started
    started = time.perf_counter()
    parsed = [Parsed(document, list(chunk(document, tokenizer=decoder))) for document in read]
    chunk_s = time.perf_counter() - started
    num_chunks = sum(len(one.chunks) for one in parsed)
    num_tokens = sum(len(found.token_ids) for one in parsed for found in one.chunks)
    rows = [
        _row("parse", len(documents) / parse_s, "documents", parse_s),
        _row("chunk", num_chunks / chunk_s, "chunks", chunk_s),
        _row("chunk", num_tokens / chunk_s, "tokens", chunk_s) | {"of": "chunk"},
    ]
    return parsed, rows


def _embed(embedder: SentenceEmbedder, texts: Sequence[str]) -> list[Row]:
    """The pipeline's batches against one call of sentence-transformers over eight of them, which it
    sorts by length and batches itself; in turns, so that both meet the same machine."""
    size = IngestConfig(1).embed_batch
    ours = theirs = 0.0
    for start in range(0, len(texts), 8 * size):
        piece = texts[start : start + 8 * size]
        started = time.perf_counter()
        for low in range(0, len(piece), size):
            embedder.encode(piece[low : low + size])
        ours += time.perf_counter() - started
        started = time.perf_counter()
        embedder.encode(piece)
        theirs += time.perf_counter() - started
    return [
        _row("embed", len(texts) / ours, "chunks", ours),
        _row("sentence-transformers", len(texts) / theirs, "chunks", theirs)
        | {"of": "embed", "ratio": theirs / ours},
    ]


async def _index(
    settings: Settings,
    documents: Sequence[BenchDocument],
    parsed: Sequence[Parsed],
    dimension: int,
) -> Row:
    """Rows, words and vectors of chunks into SQLite and FAISS; vectors are made up."""
    rng, indexes, seconds = np.random.default_rng(0), DenseIndexes(dimension), 0.0
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        async with open_storage(_in_folder(settings, folder)) as storage:
            collection = (await storage.collections.create("bench")).id
            for number, one in enumerate(parsed):
                vectors = rng.standard_normal((len(one.chunks), dimension)).astype(np.float32)
                document_id = await _add(storage, collection, documents[number])
                started = time.perf_counter()
                await storage.documents.save_parsed(document_id, one.document, one.chunks)
                batch = await storage.work.unembedded([document_id], len(one.chunks))
                ids = [item.chunk_id for item in batch]
                await storage.chunks.save_embeddings(ids, vectors)
                indexes.add(collection, ids, vectors)
                await storage.documents.mark_indexed([document_id])
                seconds += time.perf_counter() - started
    num_chunks = sum(len(one.chunks) for one in parsed)
    return _row("index", num_chunks / seconds, "chunks", seconds)


async def _add(storage: Storage, collection_id: int, document: BenchDocument) -> int:
    source = await storage.sources.get_or_create("bench")
    row, _ = await storage.documents.add(
        collection_id, source.id, document.name, document.body, None
    )
    return row.id


async def _pipeline(
    settings: Settings,
    decoder: TokensOnly,
    embedder: SentenceEmbedder,
    documents: Sequence[BenchDocument],
    look: Callable[[int], None] | None = None,
) -> float:
    """Seconds from the first step to the last, everything accepted before."""

    @asynccontextmanager
    async def load(
        settings: Settings,  # noqa: ARG001
        storage: Storage,  # noqa: ARG001
        data_dir: "DataDir",  # noqa: ARG001
        progress: Callable[[str], None],  # noqa: ARG001
    ) -> AsyncIterator[Models]:
        yield Models(cast("DecoderService", decoder), embedder)

    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        async with open_container(
            _in_folder(settings, folder), lambda _: None, load=load
        ) as opened:
            await opened.worker.stop()
            await _accept(opened, documents)
            started = time.perf_counter()
            opened.worker.start()
            opened.worker.submit()
            await _wait(opened, look)
            return time.perf_counter() - started


async def _accept(container: Container, documents: Sequence[BenchDocument]) -> None:
    collection = await container.collections.create("bench")
    for document in documents:
        await container.ingest.accept(
            collection.id, "bench", document.name, document.body, None, "bench"
        )


async def _wait(container: Container, look: Callable[[int], None] | None) -> None:
    if look is None:
        await container.worker.wait_idle()
        return
    while True:
        job = await container.jobs.get("bench")
        look(job.done + job.failed)
        if not job.is_open:
            return
        await asyncio.sleep(0.5)


def _kv(bench: Bench, chunks: Sequence[Chunk]) -> Row:
    """Both encodings of each chunk into the store, as ingestion makes them."""
    engine = bench.engine(ReuseConfig())
    engine.prepare()
    segments = [Segment("chunk", found.token_ids) for found in chunks]
    started = time.perf_counter()
    for _ in engine.precompute(segments):
        pass
    seconds = time.perf_counter() - started
    tokens_per_s = sum(len(found.token_ids) for found in chunks) / seconds
    row = _row("kv", len(chunks) / seconds, "chunks", seconds)
    return row | {"of": "kv", "tokens_per_s": tokens_per_s}


def _row(stage: str, rate: float, unit: str, seconds: float) -> Row:
    return {"stage": stage, "items_per_s": rate, "unit": unit, "seconds": seconds}


def _in_folder(settings: Settings, folder: str) -> Settings:
    return settings.model_copy(update={"data_dir": Path(folder), "database_url": None})
