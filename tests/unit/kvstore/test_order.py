"""Warm passages first, but never across a gap in relevance."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kvstore.order import warm_order


def test_ties_are_broken_by_warmth_and_gaps_are_not_crossed() -> None:
    assert warm_order([1.0, 0.99, 0.5, 0.495], [False, True, False, True]) == [1, 0, 3, 2]
    assert warm_order([1.0, 0.9], [False, True]) == [0, 1]
    assert warm_order([], []) == []


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), max_size=12), st.floats(0, 0.1))
def test_nothing_moves_further_than_a_tie(passages: list[tuple[float, bool]], tie: float) -> None:
    passages = sorted(passages, reverse=True)
    scores = [score for score, _ in passages]
    order = warm_order(scores, [warm for _, warm in passages], tie)
    assert sorted(order) == list(range(len(scores)))
    for first, second in itertools.pairwise(order):
        assert scores[second] - scores[first] <= tie * max(scores) + 1e-12
