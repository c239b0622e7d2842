"""Warm passages first, but never across a gap in relevance."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kvstore.order import warm_order


def test_ties_are_broken_by_warmth_and_gaps_are_not_crossed() -> None:
    assert warm_order([1.0, 0.99, 0.5, 0.495], [False, True, False, True]) == [1, 0, 3, 2]
    assert warm_order([1.0, 0.9], [False, True]) == [0, 1]
    assert warm_order([], []) == []


def test_stored_passages_of_a_document_stand_together_in_its_order() -> None:
    spots = [(7, 900), (8, 0), (7, 100), (9, 0), (7, 500)]
    warm = [True, True, True, False, True]
    assert warm_order([1.0, 1.0, 1.0, 1.0, 0.99], warm, spots) == [2, 4, 0, 1, 3]
    assert warm_order([1.0, 1.0, 1.0, 1.0, 0.9], warm, spots) == [2, 0, 1, 3, 4]
    assert warm_order([1.0] * 5, [False] * 5, spots) == [0, 1, 2, 3, 4]


SPOT = st.tuples(st.integers(1, 3), st.integers(0, 5))


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans(), SPOT), max_size=12), st.floats(0, 0.1))
def test_nothing_moves_further_than_a_tie(
    passages: list[tuple[float, bool, tuple[int, int]]], tie: float
) -> None:
    passages = sorted(passages, reverse=True)
    scores = [score for score, _, _ in passages]
    warm, spots = [one for _, one, _ in passages], [spot for _, _, spot in passages]
    order = warm_order(scores, warm, spots, tie)
    assert sorted(order) == list(range(len(scores)))
    for first, second in itertools.pairwise(order):
        assert scores[second] - scores[first] <= tie * max(scores) + 1e-12
