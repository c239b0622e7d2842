"""The index over codes finds what a plain scan finds, whatever the vectors are like."""

import numpy as np
import pytest

from retrieval.dense_sq8 import Sq8DenseIndex
from retrieval.protocols import Float32Array

COUNT, DIMENSION = 6_000, 24
SHAPES = ("random", "clusters", "copies", "one_far_out", "late_outliers")


def vectors_of(shape: str, rng: np.random.Generator) -> Float32Array:
    rows = rng.standard_normal((COUNT, DIMENSION)).astype(np.float32)
    if shape == "clusters":
        rows = rows[rng.integers(0, 5, COUNT)] + 0.01 * rows
    if shape == "copies":
        rows = rows[rng.integers(0, 20, COUNT)]
    if shape == "one_far_out":
        rows[17] *= 1_000  # before normalising: now its direction; the range of codes is the rest's
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if shape == "late_outliers":
        rows[:4_000] *= 0.01  # what codes are learned from is much smaller than what comes later
    return rows


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [1, 40, 500])
def test_it_finds_what_a_scan_finds(shape: str, limit: int) -> None:
    rng = np.random.default_rng(5)
    rows = vectors_of(shape, rng)
    index = Sq8DenseIndex(DIMENSION)
    index.add(range(4_000), rows[:4_000])
    index.add(range(4_000, COUNT), rows[4_000:])
    gone = rng.choice(COUNT, 300, replace=False)
    index.remove(gone.tolist())
    alive = np.setdiff1d(np.arange(COUNT), gone)
    for allowed in (None, rng.choice(COUNT, 3_000, replace=False)):
        among = alive if allowed is None else np.intersect1d(alive, allowed)
        for question in rows[rng.integers(0, COUNT, 5)] + 0.1 * rows[:5]:
            exact = np.sort(rows[among] @ question)[::-1][:limit]
            found = index.search(question, limit, allowed)
            assert {chunk_id for chunk_id, _ in found} <= set(among.tolist())
            assert [score for _, score in found] == pytest.approx(exact.tolist(), abs=1e-5)
