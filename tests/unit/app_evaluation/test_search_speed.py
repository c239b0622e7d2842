"""The search benchmark on a small scale: its rows, and that its parts find what they should."""

import numpy as np
import pytest

from app.errors import InvalidValue
from app.evaluation.search_corpus import make_passages as passages_of
from app.evaluation.search_speed import bench_index, bench_search
from tests.fakes.embedder import WordEmbedder

pytestmark = pytest.mark.anyio


WORD_ROWS = [
    "embedding",
    "words",
    "words, a tenth",
    "words, from the database",
    "words, from the database, a tenth",
]
INDEX_ROWS = ["vectors", "vectors, a tenth", "hybrid", "hybrid, a tenth"]


async def rows_of(kinds: list[str], text: str | None = None, url: str | None = None) -> list[dict]:
    done: list[int] = []
    rows = await bench_search(
        WordEmbedder(),
        text,
        chunks=300,
        questions=5,
        kinds=kinds,
        progress=lambda: done.append(1),
        url=url,
    )
    assert len(done) == 1
    return rows


@pytest.mark.parametrize("text", [None, "the harbour master collects fees before noon " * 9])
async def test_rows(text: str | None) -> None:
    rows = await rows_of(["flat", "sq8"], text)
    assert [row["search"] for row in rows] == ["filling", *WORD_ROWS, *INDEX_ROWS, *INDEX_ROWS]
    assert set(rows[1]) == {"search", "index", "chunks", "p50_ms", "p95_ms", "n"}
    assert [row["recall_at_10"] for row in rows if row["search"] == "vectors"] == [1, 1]


async def test_postgresql_is_filled_and_only_an_empty_one(postgres_url: str) -> None:
    kinds = ["flat", "pgvector", "pgvector-exact"]
    rows = await rows_of(kinds, url=postgres_url)
    assert [row["search"] for row in rows] == ["filling", *WORD_ROWS, *3 * INDEX_ROWS]
    assert [row["index"] for row in rows if row["search"] == "hybrid"] == kinds
    with pytest.raises(InvalidValue, match="holds collections"):
        await rows_of(["flat"], url=postgres_url)


def test_indexes_alone() -> None:
    rows = bench_index(["flat", "sq8"], vectors=3000, dimension=32, questions=5)
    assert [row["index"] for row in rows] == ["flat", "sq8"]
    assert rows[0]["recall_at_10"] == 1
    assert rows[1]["recall_at_10"] == 1


def test_words_of_a_text_are_its_own() -> None:
    (passage, *_) = passages_of(np.random.default_rng(0), "cat dog", 2)
    assert set(passage.split()) <= {"cat", "dog"}
