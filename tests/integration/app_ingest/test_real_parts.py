"""The write path with the real parsers, chunker, embedder and vector index on the demo's texts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.db.session import Database
from app.ingest.pipeline import IngestParts, IngestPipeline
from app.ingest.remove import Deletions, Remover
from app.ingest.startup import StartupParts, prepare
from app.ingest.types import IngestConfig
from app.ingest.worker import JobWorker
from retrieval.chunking import chunk
from retrieval.dense_indexes import DenseIndexes
from retrieval.embedding import SentenceEmbedder, load_embedder
from retrieval.parsing.registry import parse
from tests.fakes.ingest_parts import PassageStore
from tests.fakes.store import Store, make_store
from tests.fakes.tokenizer import FakePassageTokenizer

pytestmark = pytest.mark.anyio

DEMO = Path(__file__).parents[3] / "demo" / "millbrook"
VOCABULARY = 50_000


class WordStore(PassageStore):
    """Counts words instead of bytes, so chunks get the length they have in earnest."""

    def __init__(self) -> None:
        super().__init__()
        self._tokenizer = FakePassageTokenizer()

    def count(self, text: str) -> int:
        return self._tokenizer.count(text)

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return tuple(n % VOCABULARY for n in self._tokenizer.encode_passage(label, text))


@dataclass(frozen=True, slots=True)
class Real:
    store: Store
    embedder: SentenceEmbedder
    decoder: WordStore
    indexes: DenseIndexes
    pipeline: IngestPipeline
    remover: Remover


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return load_embedder()


@pytest.fixture
async def real(tmp_path: Path, embedder: SentenceEmbedder) -> AsyncIterator[Real]:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}")
    store = make_store(database, tmp_path / "larder.db")
    decoder, gate = WordStore(), asyncio.Lock()
    indexes = DenseIndexes(embedder.dimension)
    parts = IngestParts(
        sources=store.sources,
        documents=store.documents,
        chunks=store.chunks,
        parse=parse,
        split=lambda document: chunk(document, decoder),
        embedder=embedder,
        indexes=indexes,
        decoder=decoder,
        gate=gate,
        work=store.work,
        versions=store.document_versions,
    )
    pipeline = IngestPipeline(parts, IngestConfig(1_000_000))
    remover = Remover(store.removal, store.jobs, indexes, decoder, gate)
    yield Real(store, embedder, decoder, indexes, pipeline, remover)
    await database.close()


async def test_demo_documents_are_found_by_words_and_by_meaning(real: Real) -> None:
    collection = await real.store.collections.create("demo")
    paths = sorted(path for path in DEMO.rglob("*") if path.suffix in {".md", ".txt", ".html"})
    assert len(paths) >= 5
    ids = {}
    for path in paths:
        row, _ = await real.pipeline.accept(
            collection.id, path.parent.name, path.name, path.read_bytes(), None
        )
        row = await real.pipeline.process(row.id)
        assert row is not None
        assert row.state == "ready", row.error
        assert 0 < row.chunks == row.chunks_embedded == row.chunks_cached
        ids[path] = row.id
    for path, document_id in ids.items():
        title, text = await real.store.documents.text(document_id)
        words = await real.store.lexical.search(title, collection.id, 10)
        vector = real.embedder.encode([f"{title}\n{text[:500]}"])[0]
        meaning = real.indexes.search(collection.id, vector, 5)
        for hits in (words, meaning):
            passages = await real.store.chunks.passages([chunk_id for chunk_id, _ in hits])
            assert document_id in {passage.document_id for passage in passages}, path.name
            assert all(len(passage.token_ids) <= 400 for passage in passages)
        for passage in passages:
            if passage.document_id == document_id:
                assert text[passage.start : passage.end] == passage.text


async def test_a_restart_loads_the_same_vectors_and_a_delete_takes_them_out(real: Real) -> None:
    collection = await real.store.collections.create("demo")
    body = b"# Bridges\n\nThe stone bridge was finished in 1742.\n\n# Mills\n\nOne mill is left.\n"
    row, _ = await real.pipeline.accept(collection.id, "s", "town.md", body, "text/markdown")
    row = await real.pipeline.process(row.id)
    assert row is not None
    vector = real.embedder.encode(["When was the bridge built?"])[0]
    before = real.indexes.search(collection.id, vector, 5)
    indexes = DenseIndexes(real.embedder.dimension)
    store = real.store
    startup = StartupParts(
        store.collections,
        store.chunks,
        store.stamps,
        real.embedder,
        indexes,
        real.decoder,
        real.remover,
        real.store.jobs,
    )
    assert await prepare(startup) == row.chunks
    assert indexes.search(collection.id, vector, 5) == before
    worker = JobWorker(real.store.leases, [[real.remover]])
    report = await Deletions(real.store.removal, real.store.jobs, worker).delete(row.id)
    assert report.chunks == report.kv_entries == row.chunks
    assert real.indexes.search(collection.id, vector, 5) == []


async def test_what_cannot_be_read_says_so(real: Real) -> None:
    collection = await real.store.collections.create("demo")
    row, _ = await real.pipeline.accept(
        collection.id, "s", "photo.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200), None
    )
    row = await real.pipeline.process(row.id)
    assert row is not None
    assert row.state == "failed"
    assert row.error
    assert "photo.png" in row.error
