"""How long a search takes (`larder bench search`): words, vectors and both, over made-up passages
(`search_corpus`) in either database.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.db.lexical import lexical_search
from app.db.lexical_memory import LexicalMemory, open_words
from app.db.pgvector import PgVectorIndexes
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.sources import Sources
from app.evaluation.search_corpus import (
    NOISE,
    Place,
    Progress,
    Question,
    fill,
    make_passages,
    make_questions,
    unit_vectors,
)
from app.settings import PGVECTOR, SQLITE
from retrieval.dense_indexes import DenseIndexes
from retrieval.dense_kinds import KINDS
from retrieval.protocols import Embedder, Float32Array, LexicalIndex
from retrieval.retriever import Retriever
from retrieval.types import NO_FILTER, Filter, Query
from retrieval.words import content_words

DEPTH = 40  # candidates of each search, as for eight results
RESULTS = 8
PGVECTOR_EXACT = "pgvector-exact"  # without the graph that a large table gets
NO_GRAPH = 10**9
A_TENTH = Filter(sources=frozenset({"source 0"}))

Row = dict[str, object]
Parts = dict[str, Callable[[Question], Awaitable[object]]]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is searched, and what is asked."""

    url: str
    database: Database
    place: Place
    vectors: Float32Array  # [passages, dimension]
    embedder: "PlannedEmbedder"
    questions: Sequence[Question]


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
    kinds: Sequence[str],
    progress: Progress,
    url: str | None = None,
) -> list[Row]:
    """One row a part and one for the whole, with and without a filter, for each kind of vector
    index. `url` names an empty database, which is filled; None: a temporary SQLite file."""
    rng = np.random.default_rng(0)
    vectors = unit_vectors(rng, chunks, embedder.dimension)
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        url = url or f"{SQLITE}{Path(folder) / 'larder.db'}"
        database = await Database.open(url)
        try:
            passages = make_passages(rng, text, chunks)
            started = time.perf_counter()
            place = await fill(database, passages, progress)
            filled = {"build_s": time.perf_counter() - started}
            asked = make_questions(rng, passages, vectors, questions)
            planned = PlannedEmbedder(embedder, asked)
            rows = await measure(Scene(url, database, place, vectors, planned, asked), kinds)
        finally:
            await database.close()
    return [{"search": "filling", "index": "", "chunks": chunks} | filled] + [
        {"search": name, "index": kind, "chunks": chunks} | row for name, kind, row in rows
    ]


def bench_index(kinds: Sequence[str], *, vectors: int, dimension: int, questions: int) -> list[Row]:
    """Indexes alone: one row a kind, with recall against the exact one."""
    rng = np.random.default_rng(0)
    matrix = unit_vectors(rng, vectors, dimension)
    near = rng.integers(0, vectors, questions)
    asked = matrix[near] + NOISE * unit_vectors(rng, questions, dimension)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    rows: list[Row] = []
    for kind in kinds:
        index = KINDS[kind](dimension)
        started = time.perf_counter()
        index.add(range(vectors), matrix)
        built = time.perf_counter() - started
        times, found = [], []
        for question in asked:
            started = time.perf_counter()
            found.append(index.search(question, DEPTH))
            times.append(time.perf_counter() - started)
        figures = {"recall_at_10": _recall(matrix, asked, found), "build_s": built}
        rows.append({"search": "vectors", "index": kind, "chunks": vectors} | _row(times) | figures)
    return rows


async def measure(scene: Scene, kinds: Sequence[str]) -> list[tuple[str, str, Row]]:
    """(part, kind of index or nothing, figures)."""
    async with open_words(scene.database, in_memory=True) as words:
        found: list[tuple[str, str, Row]] = []
        figures = await _filled(words)
        parts = _word_parts(scene, words)
        for name, part in parts.items():
            row = _row(await _times(part, scene.questions))
            found.append((name, "", row | (figures if name == "words" else {})))
        for kind in kinds:
            with closing(_open_index(scene, kind)) as indexes:
                started = time.perf_counter()
                indexes.add(scene.place.collection_id, scene.place.chunk_ids, scene.vectors)
                figures = {"build_s": time.perf_counter() - started}
                figures["recall_at_10"] = _recall_of(scene, indexes)
                for name, part in _index_parts(scene, words, indexes).items():
                    row = _row(await _times(part, scene.questions))
                    found.append((name, kind, row | (figures if name == "vectors" else {})))
    return found


async def _filled(words: LexicalIndex) -> dict[str, float]:
    if not isinstance(words, LexicalMemory):
        return {}
    started = time.perf_counter()
    await words.fill()
    return {"build_s": time.perf_counter() - started, "mib": words.num_bytes / 2**20}


def _open_index(scene: Scene, kind: str) -> DenseIndexes | PgVectorIndexes:
    dimension = scene.embedder.dimension
    if kind == PGVECTOR:
        return PgVectorIndexes(scene.url, dimension, embedder=kind)
    if kind == PGVECTOR_EXACT:
        return PgVectorIndexes(scene.url, dimension, NO_GRAPH, kind)
    return DenseIndexes(dimension, kind)


def _word_parts(scene: Scene, words: LexicalIndex) -> Parts:
    place, stored = scene.place.collection_id, lexical_search(scene.database)

    async def embed(question: Question) -> object:
        return scene.embedder.encode([question.text])

    def by(
        index: LexicalIndex, filter_: Filter = NO_FILTER
    ) -> Callable[[Question], Awaitable[object]]:
        def search(question: Question) -> Awaitable[object]:
            return index.search(" ".join(content_words(question.text)), place, DEPTH, filter_)

        return search

    return {
        "embedding": embed,
        "words": by(words),
        "words, a tenth": by(words, A_TENTH),
        "words, from the database": by(stored),
        "words, from the database, a tenth": by(stored, A_TENTH),
    }


def _index_parts(
    scene: Scene, words: LexicalIndex, indexes: DenseIndexes | PgVectorIndexes
) -> Parts:
    database, place = scene.database, scene.place.collection_id
    memory = words if isinstance(words, LexicalMemory) else None
    selection = ChunkSelection(database, memory)
    retriever = Retriever(words, indexes, scene.embedder, Sources(database), selection=selection)

    async def by_vectors(question: Question) -> object:
        return indexes.search(place, question.vector, DEPTH)

    async def within_a_tenth(question: Question) -> object:
        allowed = await selection.chunk_ids(place, A_TENTH)
        return indexes.search(place, question.vector, DEPTH, allowed)

    def both(filter_: Filter) -> Callable[[Question], Awaitable[object]]:
        return lambda question: retriever.search(Query(question.text, place, RESULTS, filter_))

    return {
        "vectors": by_vectors,
        "vectors, a tenth": within_a_tenth,
        "hybrid": both(NO_FILTER),
        "hybrid, a tenth": both(A_TENTH),
    }


async def _times(
    part: Callable[[Question], Awaitable[object]], questions: Sequence[Question]
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


def _recall_of(scene: Scene, indexes: DenseIndexes | PgVectorIndexes) -> float:
    place = scene.place
    asked = np.stack([question.vector for question in scene.questions])
    found = [indexes.search(place.collection_id, vector, DEPTH) for vector in asked]
    position = {chunk_id: at for at, chunk_id in enumerate(place.chunk_ids)}
    rows = [[(position[chunk_id], score) for chunk_id, score in hits] for hits in found]
    return _recall(scene.vectors, asked, rows)


def _recall(
    matrix: Float32Array, asked: Float32Array, found: Sequence[Sequence[tuple[int, float]]]
) -> float:
    """Share of the ten nearest of each question, by position, that is among its first ten hits."""
    shares = []
    for question, hits in zip(asked, found, strict=True):
        nearest = np.argsort(-(matrix @ question))[:10]
        shares.append(len({at for at, _ in hits[:10]} & set(nearest.tolist())) / 10)
    return float(np.mean(shares))


def _row(seconds: Sequence[float]) -> Row:
    p50, p95 = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "n": len(seconds)}
