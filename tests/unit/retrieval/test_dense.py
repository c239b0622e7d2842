"""Dense index on real FAISS, checked against plain numpy."""

import threading

import numpy as np
import pytest

from retrieval import dense
from retrieval.dense import FlatDenseIndex
from retrieval.dense_indexes import DenseIndexes
from retrieval.errors import IndexMismatch
from retrieval.protocols import DenseIndex, Float32Array

DIMENSION = 8


def unit_vectors(count: int, seed: int = 0) -> Float32Array:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(count: int, first: int = 0) -> tuple[DenseIndex, Float32Array]:
    index, vectors = FlatDenseIndex(DIMENSION), unit_vectors(count)
    index.add(range(first, first + count), vectors)
    return index, vectors


def test_search_is_exact() -> None:
    index, vectors = filled(500, first=10)
    question = unit_vectors(1, seed=1)[0]
    expected = np.argsort(-(vectors @ question))[:7]
    found = index.search(question, 7)
    assert [chunk_id for chunk_id, _ in found] == [10 + int(at) for at in expected]
    assert [score for _, score in found] == pytest.approx(vectors[expected] @ question, abs=1e-5)


def test_only_what_is_allowed_is_searched() -> None:
    index, vectors = filled(500)
    allowed = np.arange(3, 500, 50)
    expected = allowed[np.argsort(-(vectors[allowed] @ vectors[7]))]
    assert [found for found, _ in index.search(vectors[7], 100, allowed)] == expected.tolist()
    index.remove([int(expected[0]), 7])
    assert [found for found, _ in index.search(vectors[7], 100, allowed)] == expected[1:].tolist()
    assert index.search(vectors[7], 5, np.array([10_000])) == []
    assert index.search(vectors[7], 5, np.zeros(0, np.int64)) == []


def test_limits() -> None:
    index, vectors = filled(3)
    assert len(index.search(vectors[0], 10)) == 3
    assert index.search(vectors[0], 0) == []
    assert FlatDenseIndex(DIMENSION).search(vectors[0], 5) == []


def test_large_ids() -> None:
    index = FlatDenseIndex(DIMENSION)
    index.add([2**62], unit_vectors(1))
    assert index.search(unit_vectors(1)[0], 1)[0][0] == 2**62


def test_removed_are_gone_at_once_and_can_come_back() -> None:
    index, vectors = filled(100)
    index.remove([3, 4, 3, 999])
    index.remove([3])
    assert len(index) == 98
    found = {chunk_id for chunk_id, _ in index.search(vectors[3], 100)}
    assert found == set(range(100)) - {3, 4}
    index.add([3], vectors[5:6])
    assert len(index) == 99
    assert index.search(vectors[3], 99)[0][0] != 3 or np.allclose(vectors[3], vectors[5])
    assert {3, 5} == {chunk_id for chunk_id, _ in index.search(vectors[5], 2)}


def test_removal_of_everything() -> None:
    index, vectors = filled(10)
    index.remove(range(10))
    assert len(index) == 0
    assert index.search(vectors[0], 5) == []


def test_physical_removal_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "_MIN_REMOVALS", 5)
    index, vectors = FlatDenseIndex(DIMENSION), unit_vectors(100)
    index.add(range(100), vectors)
    for chunk_id in range(0, 100, 2):
        index.remove([chunk_id])
        alive = set(range(100)) - set(range(0, chunk_id + 1, 2))
        assert {found for found, _ in index.search(vectors[1], 100)} == alive
    assert index._index.ntotal < 65


@pytest.mark.parametrize(
    ("ids", "vectors", "words"),
    [
        ([1, 1], unit_vectors(2), "twice"),
        ([0], unit_vectors(1), "already"),
        ([-1], unit_vectors(1), "negative"),
        ([1], unit_vectors(2), "shape"),
        ([1], np.zeros((1, 3), np.float32), "another embedder"),
        ([1], np.full((1, DIMENSION), np.nan, np.float32), "finite"),
    ],
)
def test_refused_whole(ids: list[int], vectors: Float32Array, words: str) -> None:
    index, _ = filled(1)
    with pytest.raises(IndexMismatch, match=words):
        index.add(ids, vectors)
    assert len(index) == 1


def test_nothing_to_add() -> None:
    index, _ = filled(1)
    index.add([], np.empty((0, DIMENSION), np.float32))
    assert len(index) == 1


def test_question_of_another_size() -> None:
    index, _ = filled(1)
    with pytest.raises(IndexMismatch, match="shape"):
        index.search(np.zeros(3, np.float32), 1)


def test_searches_beside_a_writer() -> None:
    index, vectors = filled(200)
    failures: list[Exception] = []

    def search() -> None:
        try:
            for _ in range(300):
                assert index.search(vectors[7], 1)[0][0] == 7
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for round_ in range(50):
        ids = range(1000 + 10 * round_, 1010 + 10 * round_)
        index.add(ids, -vectors[:10])
        index.remove(ids)
    for reader in readers:
        reader.join()
    assert not failures


def test_collections_are_apart() -> None:
    indexes, vectors = DenseIndexes(DIMENSION), unit_vectors(2)
    indexes.add(1, [10], vectors[:1])
    indexes.add(2, [20], vectors[1:])
    indexes.remove(1, [20])
    indexes.remove(3, [10])
    assert [chunk_id for chunk_id, _ in indexes.search(2, vectors[0], 5)] == [20]
    assert indexes.search(3, vectors[0], 5) == []
    indexes.remove(1, [10])
    assert indexes.search(1, vectors[0], 5) == []
