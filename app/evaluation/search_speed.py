"""How long a search takes (`larder bench search`): words, vectors and both, over made-up passages.

Passages are words drawn as often as they stand in a text that is given, or by Zipf's law; vectors
point anywhere; a question takes words from one passage and lies near its vector. So the work is
that of real documents, and what is found says only that the parts work together.
"""

import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.db.collections import Collections
from app.db.documents import Documents
from app.db.lexical import LexicalSearch
from app.db.lexical_memory import LexicalMemory
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.sources import Sources
from app.settings import SQLITE
from retrieval.dense_indexes import DenseIndexes
from retrieval.dense_kinds import KINDS
from retrieval.protocols import Embedder, Float32Array
from retrieval.retriever import Retriever
from retrieval.types import NO_FILTER, Chunk, Document, Filter, Query
from retrieval.words import content_words

DEPTH = 40  # candidates of each search, as for eight results
RESULTS = 8
WORDS_A_CHUNK = 150
WORDS_A_QUESTION = 6
CHUNKS_A_DOCUMENT = 1_000
SOURCES = 10
NOISE = 0.7  # length of what is added to a passage's vector: cosine about 0.8
ZIPF_WORDS = 50_000

Row = dict[str, object]
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Question:
    chunk: int  # index of the passage it was made from
    text: str
    vector: Float32Array


class PlannedEmbedder:
    """Does a real model's work for a text, and gives the vector that was planned for it."""

    def __init__(self, embedder: Embedder, questions: Sequence[Question]) -> None:
        self._embedder = embedder
        self._planned = {question.text: question.vector for question in questions}
        self.identity = embedder.identity
        self.dimension = embedder.dimension

    def encode(self, texts: Sequence[str]) -> Float32Array:
        self._embedder.encode(texts)
        return np.stack([self._planned[text] for text in texts])


async def bench_search(
    embedder: Embedder,
    text: str | None,
    *,
    chunks: int,
    questions: int,
    kind: str,
    progress: Progress,
) -> list[Row]:
    """One row a part and one for the whole, with and without a filter; a temporary SQLite file."""
    rng = np.random.default_rng(0)
    vectors = unit_vectors(rng, chunks, embedder.dimension)
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        database = await Database.open(f"{SQLITE}{Path(folder) / 'larder.db'}")
        try:
            passages = make_passages(rng, text, chunks)
            await _fill(database, passages, progress)
            asked = make_questions(rng, passages, vectors, questions)
            indexes = DenseIndexes(embedder.dimension, kind)
            indexes.add(1, range(1, chunks + 1), vectors)  # ids of a new database count from 1
            rows = await _measure(database, indexes, PlannedEmbedder(embedder, asked), asked)
        finally:
            await database.close()
    return [{"search": name, "index": kind, "chunks": chunks} | row for name, row in rows]


def bench_index(kinds: Sequence[str], *, vectors: int, dimension: int, questions: int) -> list[Row]:
    """Indexes alone: one row a kind, with recall against the exact one."""
    rng = np.random.default_rng(0)
    matrix = unit_vectors(rng, vectors, dimension)
    near = rng.integers(0, vectors, questions)
    asked = matrix[near] + NOISE * unit_vectors(rng, questions, dimension)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    exact = [np.argsort(-(matrix @ question))[:10] for question in asked]
    rows: list[Row] = []
    for kind in kinds:
        index = KINDS[kind](dimension)
        started = time.perf_counter()
        index.add(range(vectors), matrix)
        built = time.perf_counter() - started
        times, recalls = [], []
        for question, expected in zip(asked, exact, strict=True):
            started = time.perf_counter()
            found = index.search(question, DEPTH)
            times.append(time.perf_counter() - started)
            best = {chunk_id for chunk_id, _ in found[:10]}
            recalls.append(len(best & set(expected.tolist())) / 10)
        figures = {"recall_at_10": float(np.mean(recalls)), "build_s": built}
        rows.append({"search": "vectors", "index": kind, "chunks": vectors} | _row(times) | figures)
    return rows


def unit_vectors(rng: np.random.Generator, count: int, dimension: int) -> Float32Array:
    vectors = rng.standard_normal((count, dimension), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def make_passages(rng: np.random.Generator, text: str | None, count: int) -> list[str]:
    size = (count, WORDS_A_CHUNK)
    if text is not None:
        words = np.array(re.findall(r"\w+", text))
        return [" ".join(row) for row in words[rng.integers(0, len(words), size)]]
    ranks = np.arange(1, ZIPF_WORDS + 1)
    chosen = rng.choice(ZIPF_WORDS, size, p=(1 / ranks) / (1 / ranks).sum())
    return [" ".join(f"word{number}" for number in row) for row in chosen]


def make_questions(
    rng: np.random.Generator, passages: Sequence[str], vectors: Float32Array, count: int
) -> list[Question]:
    """Words as a person would take them: those that say something, common ones among them."""
    found = []
    for chunk in rng.integers(0, len(passages), count).tolist():
        words = content_words(passages[chunk])
        chosen = rng.choice(len(words), min(WORDS_A_QUESTION, len(words)), replace=False)
        vector = vectors[chunk] + NOISE * unit_vectors(rng, 1, vectors.shape[1])[0]
        text = " ".join(words[at] for at in sorted(chosen.tolist()))
        found.append(Question(chunk, text, vector / np.linalg.norm(vector)))
    return found


async def _fill(database: Database, passages: Sequence[str], progress: Progress) -> None:
    collection = await Collections(database).create("bench")
    documents, sources = Documents(database), Sources(database)
    for first in range(0, len(passages), CHUNKS_A_DOCUMENT):
        part = passages[first : first + CHUNKS_A_DOCUMENT]
        source = await sources.get_or_create(f"source {first // CHUNKS_A_DOCUMENT % SOURCES}")
        name = f"document {first}"
        row, _ = await documents.add(collection.id, source.id, name, name.encode(), "text/plain")
        chunks = [Chunk(at, 0, len(text), name, text, (at,)) for at, text in enumerate(part)]
        await documents.save_parsed(row.id, Document(name, "", "text/plain", ()), chunks)
        progress()


async def _measure(
    database: Database,
    indexes: DenseIndexes,
    embedder: PlannedEmbedder,
    questions: Sequence[Question],
) -> list[tuple[str, Row]]:
    words, stored = LexicalMemory(database), LexicalSearch(database)
    started = time.perf_counter()
    await words.fill()
    filled = {"build_s": time.perf_counter() - started, "mib": words.num_bytes / 2**20}
    retriever = Retriever(
        words, indexes, embedder, Sources(database), selection=ChunkSelection(database)
    )

    async def embed(question: Question) -> None:
        embedder.encode([question.text])

    async def by_words(question: Question) -> None:
        await words.search(" ".join(content_words(question.text)), 1, DEPTH)

    async def by_stored_words(question: Question) -> None:
        await stored.search(" ".join(content_words(question.text)), 1, DEPTH)

    async def by_vectors(question: Question) -> None:
        indexes.search(1, question.vector, DEPTH)

    def both(filter_: Filter) -> Callable[[Question], Awaitable[None]]:
        async def search(question: Question) -> None:
            await retriever.search(Query(question.text, 1, RESULTS, filter_))

        return search

    parts = {
        "embedding": embed,
        "words": by_words,
        "words, from the database": by_stored_words,
        "vectors": by_vectors,
        "hybrid": both(NO_FILTER),
        "hybrid, a tenth": both(Filter(sources=frozenset({"source 0"}))),
    }
    rows = [(name, _row(await _times(part, questions))) for name, part in parts.items()]
    await words.stop()
    return [(name, row | (filled if name == "words" else {})) for name, row in rows]


async def _times(
    part: Callable[[Question], Awaitable[None]], questions: Sequence[Question]
) -> list[float]:
    """Seconds a question; the first few only warm up."""
    for question in questions[:3]:
        await part(question)
    times = []
    for question in questions:
        started = time.perf_counter()
        await part(question)
        times.append(time.perf_counter() - started)
    return times


def _row(seconds: Sequence[float]) -> Row:
    p50, p95 = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "n": len(seconds)}
