"""Fusion against its formulas."""

import numpy as np
import pytest

from retrieval.background import SAMPLE, USUAL, Background
from retrieval.fusion import convex_combination, reciprocal_rank_fusion


def test_formula() -> None:
    scores = reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
    assert scores == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_first_in_one_list_is_less_than_tenth_in_two() -> None:
    scores = reciprocal_rank_fusion([["a", *range(8), "b"], [*range(10, 19), "b"]])
    assert scores["b"] > scores["a"]


def test_empty() -> None:
    assert reciprocal_rank_fusion([]) == {}
    assert reciprocal_rank_fusion([[], []]) == {}


def test_scores_over_their_spread() -> None:
    scores = convex_combination({"a": 4.0}, {"a": 0.2, "b": 0.6}, spread=0.1, dense_weight=0.5)
    # Word scores 4 and 0 deviate by 2.
    assert scores == pytest.approx({"a": 0.5 * 2 + 0.5 * 2, "b": 0.5 * 6})


def test_what_only_words_found_is_as_close_as_the_last_of_the_vectors() -> None:
    near = {"a": 0.5, "b": 0.3}
    scores = convex_combination({"c": 0.0}, near, spread=0.1, dense_weight=1.0, zero=0.3)
    assert scores == pytest.approx({"a": 2.0, "b": 0.0, "c": 0.0})


def test_equal_words_and_negative_cosines() -> None:
    scores = convex_combination({"a": 3.0, "b": 3.0}, {}, spread=0.1, dense_weight=0.4)
    assert scores == pytest.approx({"a": 0.6, "b": 0.6})
    assert convex_combination({}, {"a": -0.5}, spread=0.1, dense_weight=0.5) == {"a": 0.0}
    assert convex_combination({}, {}, spread=0.1, dense_weight=0.5) == {}


def test_background_is_a_sample_of_all_that_was_added() -> None:
    background = Background(4)
    assert background.spread(np.ones(4, np.float32)) == USUAL
    near, far = np.eye(4, dtype=np.float32)[:2]
    background.add(np.tile(near, (SAMPLE, 1)))
    assert background.spread(near) < 0.03  # all alike
    background.add(np.tile(far, (SAMPLE, 1)))
    # Half of them lie elsewhere now: cosines are 0 and 1, which deviate by a half.
    assert background.spread(near) == pytest.approx(0.5, abs=0.05)
