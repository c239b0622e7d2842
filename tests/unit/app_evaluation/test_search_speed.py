"""The search benchmark on a small scale: its rows, and that its parts find what they should."""

import numpy as np
import pytest

from app.evaluation.search_speed import bench_index, bench_search
from app.evaluation.search_speed import make_passages as passages_of
from tests.fakes.embedder import WordEmbedder

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("text", [None, "the harbour master collects fees before noon " * 9])
async def test_rows(text: str | None) -> None:
    done = []
    rows = await bench_search(
        WordEmbedder(),
        text,
        chunks=300,
        questions=5,
        kind="flat",
        progress=lambda: done.append(1),
    )
    assert [row["search"] for row in rows] == [
        "embedding",
        "words",
        "words, from the database",
        "vectors",
        "hybrid",
        "hybrid, a tenth",
    ]
    assert set(rows[0]) == {"search", "index", "chunks", "p50_ms", "p95_ms", "n"}
    assert len(done) == 1


def test_indexes_alone() -> None:
    rows = bench_index(["flat", "sq8"], vectors=3000, dimension=32, questions=5)
    assert [row["index"] for row in rows] == ["flat", "sq8"]
    assert rows[0]["recall_at_10"] == 1
    assert rows[1]["recall_at_10"] == 1


def test_words_of_a_text_are_its_own() -> None:
    (passage, *_) = passages_of(np.random.default_rng(0), "cat dog", 2)
    assert set(passage.split()) <= {"cat", "dog"}
