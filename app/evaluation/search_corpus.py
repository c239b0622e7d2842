"""Made-up passages, their vectors and questions about them, for timing searches (`search_speed`).

Passages are words drawn as often as they stand in a text that is given, or by Zipf's law; vectors
point anywhere; a question takes words from one passage and lies near its vector. So the work is
that of real documents, and what is found says only that the parts work together.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.db.collections import Collections
from app.db.documents import Documents
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.sources import Sources
from app.errors import InvalidValue
from retrieval.protocols import Float32Array
from retrieval.types import NO_FILTER, Chunk, Document
from retrieval.words import content_words

WORDS_A_CHUNK = 150
WORDS_A_QUESTION = 6
CHUNKS_A_DOCUMENT = 1_000
SOURCES = 10
NOISE = 0.7  # length of what is added to a passage's vector: cosine about 0.8
ZIPF_WORDS = 50_000

Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Question:
    chunk: int  # index of the passage it was made from
    text: str
    vector: Float32Array


@dataclass(frozen=True, slots=True)
class Place:
    """Where the passages lie: their collection, and their chunks' ids in the same order."""

    collection_id: int
    chunk_ids: Sequence[int]


def unit_vectors(rng: np.random.Generator, count: int, dimension: int) -> Float32Array:
    vectors = rng.standard_normal((count, dimension), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def make_passages(rng: np.random.Generator, text: str | None, count: int) -> list[str]:
    size = (count, WORDS_A_CHUNK)
    if text is not None:
        words = np.array(re.findall(r"\w+", text), object)
        return [" ".join(words[row]) for row in rng.integers(0, len(words), size)]
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


async def fill(database: Database, passages: Sequence[str], progress: Progress) -> Place:
    """A collection of these passages. Raises `InvalidValue` where the database is not empty."""
    collections = Collections(database)
    if await collections.list():
        raise InvalidValue("the database holds collections; name an empty one, which is filled")
    collection = await collections.create("bench")
    documents, sources = Documents(database), Sources(database)
    for first in range(0, len(passages), CHUNKS_A_DOCUMENT):
        part = passages[first : first + CHUNKS_A_DOCUMENT]
        source = await sources.get_or_create(f"source {first // CHUNKS_A_DOCUMENT % SOURCES}")
        name = f"document {first}"
        row, _ = await documents.add(collection.id, source.id, name, name.encode(), "text/plain")
        chunks = [Chunk(at, 0, len(text), name, text, (at,)) for at, text in enumerate(part)]
        await documents.save_parsed(row.id, Document(name, "", "text/plain", ()), chunks)
        progress()
    await database.checkpoint()  # as a server's is that has been running for a while
    chunk_ids = await ChunkSelection(database).chunk_ids(collection.id, NO_FILTER)
    return Place(collection.id, sorted(chunk_ids.tolist()))
