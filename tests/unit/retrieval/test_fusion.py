"""Reciprocal rank fusion against its formula."""

import pytest

from retrieval.fusion import reciprocal_rank_fusion


def test_formula() -> None:
    scores = reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
    assert scores == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_first_in_one_list_is_less_than_tenth_in_two() -> None:
    scores = reciprocal_rank_fusion([["a", *range(8), "b"], [*range(10, 19), "b"]])
    assert scores["b"] > scores["a"]


def test_empty() -> None:
    assert reciprocal_rank_fusion([]) == {}
    assert reciprocal_rank_fusion([[], []]) == {}
