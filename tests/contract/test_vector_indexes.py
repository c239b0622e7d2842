"""What every vector index must do, checked against plain numpy."""

import threading

import numpy as np
import pytest

from app.db import pgvector
from retrieval import dense_kinds, dense_positional
from retrieval.dense_indexes import DenseIndexes
from retrieval.errors import IndexMismatch
from retrieval.protocols import Float32Array
from tests.contract.conftest import DIMENSION, Open

COUNT = 600


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Structures and their rebuilding begin at a few rows instead of thousands."""
    monkeypatch.setattr(dense_positional, "EXACT_ROWS", 60)
    monkeypatch.setattr(dense_positional, "MIN_DEAD", 20)
    monkeypatch.setattr(pgvector, "EXACT_IDS", 60)
    bounds = ((150, "flat"), (400, "sq8"))
    monkeypatch.setattr(dense_kinds, "_BOUNDS", bounds)


def unit_vectors(count: int, seed: int = 0) -> Float32Array:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def recall(found: list[tuple[int, float]], expected: list[int]) -> float:
    return len({chunk_id for chunk_id, _ in found} & set(expected)) / max(1, len(expected))


def nearest(vectors: Float32Array, question: Float32Array, ids: list[int], limit: int) -> list[int]:
    scores = vectors[ids] @ question
    return [ids[at] for at in np.argsort(-scores)[:limit]]


def test_adds_and_finds(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(COUNT)
    for first in range(0, COUNT, 100):
        indexes.add(1, range(first, first + 100), vectors[first : first + 100])
    assert sorted(indexes.ids(1).tolist()) == list(range(COUNT))
    recalls = []
    for question in unit_vectors(20, seed=1):
        found = indexes.search(1, question, 10)
        assert len(found) == 10
        scores = [score for _, score in found]
        assert scores == sorted(scores, reverse=True)
        for chunk_id, score in found:
            assert score == pytest.approx(float(vectors[chunk_id] @ question), abs=1e-5)
        recalls.append(recall(found, nearest(vectors, question, list(range(COUNT)), 10)))
    assert np.mean(recalls) > 0.9
    for chunk_id in range(0, COUNT, 37):
        assert indexes.search(1, vectors[chunk_id], 1)[0][0] == chunk_id


def test_few_and_none(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(3)
    assert indexes.search(1, vectors[0], 5) == []
    assert indexes.ids(1).tolist() == []
    indexes.add(1, [5, 2**40, 7], vectors)
    indexes.add(1, [], vectors[:0])
    assert len(indexes.search(1, vectors[0], 10)) == 3
    assert indexes.search(1, vectors[1], 1)[0][0] == 2**40
    assert indexes.search(1, vectors[0], 0) == []


def test_removed_are_gone_at_once(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(COUNT)
    indexes.add(1, range(COUNT), vectors)
    alive = set(range(COUNT))
    for first in range(0, 400, 40):
        gone = range(first, first + 40)
        indexes.remove(1, [*gone, 10_000])
        indexes.remove(1, list(gone))
        alive -= set(gone)
        for chunk_id in (first, first + 39):
            assert chunk_id not in {found for found, _ in indexes.search(1, vectors[chunk_id], 20)}
        survivor = max(alive)
        assert indexes.search(1, vectors[survivor], 1)[0][0] == survivor
    assert set(indexes.ids(1).tolist()) == alive
    indexes.add(1, [3], vectors[3:4])
    assert indexes.search(1, vectors[3], 1)[0][0] == 3
    indexes.remove(1, indexes.ids(1).tolist())
    assert indexes.search(1, vectors[3], 5) == []


@pytest.mark.parametrize("share", [0.005, 0.1, 0.6])
def test_a_filter_is_part_of_the_search(open_indexes: Open, share: float) -> None:
    """As many as are asked for are found, however far from the question they lie."""
    indexes, vectors = open_indexes(), unit_vectors(COUNT)
    indexes.add(1, range(COUNT), vectors)
    question = unit_vectors(1, seed=2)[0]
    farthest = np.argsort(vectors @ question)[: max(2, int(share * COUNT))]
    indexes.remove(1, [int(farthest[0])])
    allowed = np.append(farthest, 99_999).astype(np.int64)
    found = indexes.search(1, question, 10, allowed)
    expected = nearest(vectors, question, farthest[1:].tolist(), 10)
    assert len(found) == len(expected)
    assert {chunk_id for chunk_id, _ in found} <= set(farthest[1:].tolist())
    assert recall(found, expected) >= 0.8
    assert indexes.search(1, question, 10, np.zeros(0, np.int64)) == []


def test_collections_are_apart(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(300)
    indexes.add(1, range(150), vectors[:150])
    indexes.add(2, range(150, 300), vectors[150:])
    indexes.remove(1, [200])
    indexes.remove(3, [1])
    assert indexes.search(2, vectors[200], 1)[0][0] == 200
    assert {found for found, _ in indexes.search(1, vectors[200], 150)} <= set(range(150))
    assert indexes.search(3, vectors[0], 5) == []


def test_a_small_collection_beside_a_large_one(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(COUNT)
    question = vectors[0]
    by_distance = np.argsort(vectors @ question).tolist()
    far, others = by_distance[:20], by_distance[20:]  # these all come first
    indexes.add(1, others, vectors[others])
    indexes.add(2, far, vectors[far])
    found = [chunk_id for chunk_id, _ in indexes.search(2, question, 20)]
    assert found == nearest(vectors, question, far, 20)
    assert indexes.remove(2, far[:5]) == 5
    assert {chunk_id for chunk_id, _ in indexes.search(2, question, 20)} == set(far[5:])


@pytest.mark.parametrize(
    ("ids", "vectors", "words"),
    [
        ([1001, 1001], unit_vectors(2), "twice"),
        ([1001, 0], unit_vectors(2), "already"),
        ([-1], unit_vectors(1), "negative"),
        ([1001], np.zeros((1, 3), np.float32), "another embedder"),
        ([1001], np.full((1, DIMENSION), np.nan, np.float32), "finite"),
    ],
)
def test_refused_whole(
    open_indexes: Open, ids: list[int], vectors: Float32Array, words: str
) -> None:
    indexes = open_indexes()
    indexes.add(1, [0], unit_vectors(1))
    with pytest.raises(IndexMismatch, match=words):
        indexes.add(1, ids, vectors)
    assert indexes.ids(1).tolist() == [0]
    with pytest.raises(IndexMismatch, match="shape"):
        indexes.search(1, np.zeros(3, np.float32), 1)


def test_searches_beside_a_writer(open_indexes: Open) -> None:
    indexes, vectors = open_indexes(), unit_vectors(COUNT)
    indexes.add(1, range(200), vectors[:200])
    failures: list[Exception] = []
    stop = threading.Event()

    def search() -> None:
        try:
            while not stop.is_set():
                assert indexes.search(1, vectors[7], 1)[0][0] == 7
        except Exception as error:
            failures.append(error)

    reader = threading.Thread(target=search)
    reader.start()
    for first in range(200, COUNT, 100):
        indexes.add(1, range(first, first + 100), vectors[first : first + 100])
        indexes.remove(1, range(first - 100, first - 40))
    stop.set()
    reader.join()
    assert not failures


def test_auto_follows_the_size() -> None:
    indexes, vectors = DenseIndexes(DIMENSION, "auto"), unit_vectors(COUNT)
    kinds = []
    for first in range(0, COUNT, 100):
        indexes.add(1, range(first, first + 100), vectors[first : first + 100])
        kinds.append(indexes.kind(1))
    assert kinds == ["flat", "sq8", "sq8", "sq8", "ivf", "ivf"]
    indexes.remove(1, range(550))
    indexes.add(1, [5000], vectors[:1])
    assert indexes.kind(1) == "ivf"
    assert indexes.kind(2) is None
    assert indexes.search(1, vectors[599], 1)[0][0] == 599
