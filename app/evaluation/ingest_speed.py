"""How fast documents are taken in (`larder bench ingest`): each stage alone, then all together.

Everything is the real thing: parser in its child process, SQLite, FAISS, embedder, decoder. KV is
slower than all else by far, so the whole pipeline runs twice: over all documents without KV, and
with it over the first few.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from app.bootstrap import Container, Models, Storage, open_container, open_storage
from app.evaluation.bench_model import Bench
from app.evaluation.ingest_corpus import BenchDocument
from app.evaluation.ingest_decoders import Storing, TokensOnly
from app.ingest.duplicates import link_duplicates
from app.ingest.types import IngestConfig
from app.settings import Settings
from kvstore.config import ReuseConfig
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

BATCH = IngestConfig(1).embed_batch

Row = dict[str, object]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parsed:
    source: BenchDocument
    document: Document
    chunks: list[Chunk]


@dataclass(frozen=True, slots=True)
class Amount:
    """What went through a stage; tokens are the decoder's."""

    documents: int
    chunks: int
    tokens: int


def bench_ingest(
    settings: Settings,
    bench: Bench,
    embedder: SentenceEmbedder,
    documents: Sequence[BenchDocument],
    *,
    kv_chunks: int,
    note: Note,
) -> list[Row]:
    """Rows of stage, seconds and what a second takes; ratios are of rates taken in this run."""
    decoder = TokensOnly(bench.template)
    note("parse and chunk")
    parsed, rows = _parse_and_chunk(documents, decoder)
    amount = _amount(parsed)
    note(f"embed {amount.chunks:,} chunks")
    rows += _embed(embedder, parsed)
    note("index, near-duplicates")
    rows += asyncio.run(_index(settings, parsed, embedder.dimension))
    note("all together, without KV")
    slowest = max(cast(float, row["seconds"]) for row in rows if "of" not in row)
    seconds = asyncio.run(_pipeline(_without_kv(settings), decoder, embedder, documents))
    rows.append(_row("pipeline", seconds, amount) | {"of": "slowest", "ratio": slowest / seconds})
    if kv_chunks:
        note("KV, then all together with KV")
        rows += _kv(settings, bench, embedder, _first(parsed, kv_chunks))
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

    decoder = TokensOnly(bench.template)
    seconds = asyncio.run(_pipeline(_without_kv(settings), decoder, embedder, documents, look))
    first = next(size for done, size in held if done >= len(documents) / 10)
    last = held[-1][1]
    return {
        "stage": "memory",
        "seconds": seconds,
        "documents_per_s": len(documents) / seconds,
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
    read: list[tuple[BenchDocument, Document]] = []
    with closing(ParserPool(ParseLimits())) as pool:
        started = time.perf_counter()
        for document in documents:
            try:
                read.append((document, pool.parse(document.body, document.name)))
            except ParseError:
                continue  # a file that is no text after all; the pipeline fails it as well
        parse_s = time.perf_counter() - started
    started = time.perf_counter()
    parsed = [
        Parsed(source, document, list(chunk(document, tokenizer=decoder)))
        for source, document in read
    ]
    chunk_s = time.perf_counter() - started
    amount = _amount(parsed)
    return parsed, [_row("parse", parse_s, amount), _row("chunk", chunk_s, amount)]


def _embed(embedder: SentenceEmbedder, parsed: Sequence[Parsed]) -> list[Row]:
    """The pipeline's batches against one call of sentence-transformers over eight of them, which it
    sorts by length and batches itself; in turns, so that both meet the same machine."""
    texts = [f"{found.label}\n{found.text}" for one in parsed for found in one.chunks]
    ours = theirs = 0.0
    for start in range(0, len(texts), 8 * BATCH):
        piece = texts[start : start + 8 * BATCH]
        started = time.perf_counter()
        for low in range(0, len(piece), BATCH):
            embedder.encode(piece[low : low + BATCH])
        ours += time.perf_counter() - started
        started = time.perf_counter()
        embedder.encode(piece)
        theirs += time.perf_counter() - started
    amount = _amount(parsed)
    return [
        _row("embed", ours, amount),
        _row("sentence-transformers", theirs, amount) | {"of": "embed", "ratio": theirs / ours},
    ]


async def _index(settings: Settings, parsed: Sequence[Parsed], dimension: int) -> list[Row]:
    """Rows, words and vectors of chunks into SQLite and FAISS, then near-duplicates; vectors are
    made up."""
    rng, indexes = np.random.default_rng(0), DenseIndexes(dimension)
    index_s = duplicates_s = 0.0
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        async with open_storage(_in_folder(settings, folder)) as storage:
            collection = (await storage.collections.create("bench")).id
            for group in _batches(parsed):
                ids = [await _add(storage, collection, one.source) for one in group]
                started = time.perf_counter()
                for number, one in zip(ids, group, strict=True):
                    await storage.documents.save_parsed(number, one.document, one.chunks)
                chunk_ids = [item.chunk_id for item in await storage.work.unembedded(ids, 10**6)]
                vectors = rng.standard_normal((len(chunk_ids), dimension)).astype(np.float32)
                await storage.chunks.save_embeddings(chunk_ids, vectors)
                indexes.add(collection, chunk_ids, vectors)
                linking = time.perf_counter()
                await link_duplicates(storage.duplicates, ids)
                linked = time.perf_counter()
                await storage.documents.mark_indexed(ids)
                duplicates_s += linked - linking
                index_s += time.perf_counter() - linked + linking - started
    amount = _amount(parsed)
    return [_row("index", index_s, amount), _row("near-duplicates", duplicates_s, amount)]


def _batches(parsed: Sequence[Parsed]) -> Iterator[list[Parsed]]:
    """As many documents together as fill a batch of the embedder."""
    group: list[Parsed] = []
    for one in parsed:
        group.append(one)
        if sum(len(member.chunks) for member in group) >= BATCH:
            yield group
            group = []
    if group:
        yield group


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


def _kv(
    settings: Settings, bench: Bench, embedder: SentenceEmbedder, parsed: Sequence[Parsed]
) -> list[Row]:
    """The pipeline to the end, KV stored; then the KV of the same chunks by itself."""
    engine = bench.engine(ReuseConfig())
    engine.prepare()
    decoder = Storing(bench.template, engine)
    documents = [one.source for one in parsed]
    whole_s = asyncio.run(_pipeline(settings, decoder, embedder, documents))
    bench.store.purge([chunk.token_ids for chunk in decoder.chunks])
    started = time.perf_counter()
    for _ in engine.precompute(decoder.chunks):
        pass
    kv_s = time.perf_counter() - started
    amount = _amount(parsed)
    return [
        _row("KV", kv_s, amount) | {"of": "KV"},
        _row("pipeline with KV", whole_s, amount) | {"of": "KV", "ratio": kv_s / whole_s},
    ]


def _first(parsed: Sequence[Parsed], num_chunks: int) -> list[Parsed]:
    """Whole documents, until they have so many chunks."""
    taken: list[Parsed] = []
    for one in parsed:
        if sum(len(member.chunks) for member in taken) >= num_chunks:
            break
        taken.append(one)
    return taken


def _amount(parsed: Sequence[Parsed]) -> Amount:
    chunks = [found for one in parsed for found in one.chunks]
    return Amount(len(parsed), len(chunks), sum(len(found.token_ids) for found in chunks))


def _row(stage: str, seconds: float, amount: Amount) -> Row:
    return {
        "stage": stage,
        "seconds": seconds,
        "documents_per_s": amount.documents / seconds,
        "chunks_per_s": amount.chunks / seconds,
        "tokens_per_s": amount.tokens / seconds,
    }


def _without_kv(settings: Settings) -> Settings:
    return settings.model_copy(update={"kv_admission": "never"})


def _in_folder(settings: Settings, folder: str) -> Settings:
    return settings.model_copy(update={"data_dir": Path(folder), "database_url": None})
