"""Choosing tokens: budgets, floors, repeatability; property-tested over random spans."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.errors import InvalidReuse
from kvstore.policies import POLICIES, find_policy
from kvstore.policies.top_scores import best_positions, positions_of
from kvstore.prefill import recompute_budget
from kvstore.protocols import SelectionRequest, Span


class FixedProbes:
    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores

    def question_attention(self) -> torch.Tensor:
        return self.scores

    def value_deviation(self, layers: object) -> torch.Tensor:
        return self.scores


@st.composite
def requests(draw: st.DrawFn) -> tuple[SelectionRequest, FixedProbes]:
    start, spans = draw(st.integers(0, 5)), []
    for length in draw(st.lists(st.integers(1, 30), min_size=1, max_size=5)):
        spans.append(Span(start, start + length))
        start += length + draw(st.integers(0, 3))
    total = sum(len(s) for s in spans)
    request = SelectionRequest(
        tuple(spans), draw(st.integers(0, total)), draw(st.integers(0, 4)), draw(st.integers(0, 99))
    )
    scores = torch.tensor(draw(st.lists(st.integers(0, 9), min_size=start, max_size=start)))
    return request, FixedProbes(scores.float())


@pytest.mark.parametrize("name", POLICIES)
@given(case=requests())
@settings(max_examples=60, deadline=None)
def test_a_choice_lies_in_the_spans_within_budget_and_repeats(
    name: str, case: tuple[SelectionRequest, FixedProbes]
) -> None:
    request, probes = case
    chosen = find_policy(name).select(request, probes)
    allowed = positions_of(request.spans)
    assert torch.equal(chosen, chosen.unique())
    assert torch.isin(chosen, allowed).all()
    expected = {"none": 0, "all": len(allowed)}.get(name, request.budget)
    assert len(chosen) == expected  # spans of unknown overhead: `cache_craft` wants all of them
    assert torch.equal(chosen, find_policy(name).select(request, probes))


@given(case=requests())
@settings(max_examples=60, deadline=None)
def test_scored_choices_are_the_best_but_for_the_floor(
    case: tuple[SelectionRequest, FixedProbes],
) -> None:
    request, probes = case
    chosen = best_positions(request, probes.scores)
    floor = min(request.floor, request.budget // len(request.spans))
    for span in request.spans:
        inside = int(((chosen >= span.start) & (chosen < span.end)).sum())
        assert inside >= min(floor, len(span))
    if floor == 0 and request.budget:
        left = positions_of(request.spans)
        left = left[~torch.isin(left, chosen)]
        assert len(left) == 0 or probes.scores[chosen].min() >= probes.scores[left].max()


def test_seam_takes_the_heads_and_passes_on_what_short_chunks_cannot_use() -> None:
    request = SelectionRequest((Span(0, 2), Span(10, 20), Span(30, 40)), 9, 0, 0)
    chosen = find_policy("seam").select(request, FixedProbes(torch.zeros(40)))
    assert chosen.tolist() == [0, 1, 10, 11, 12, 13, 30, 31, 32]


@pytest.mark.parametrize(
    ("ratio", "tokens", "budget"),
    [(0.0, 100, 0), (0.05, 100, 5), (0.15, 20, 3), (0.15, 1001, 151), (1.0, 7, 7), (0.5, 0, 0)],
)
def test_budget(ratio: float, tokens: int, budget: int) -> None:
    spans = (Span(3, 3 + tokens),) if tokens else ()
    assert recompute_budget(spans, ratio) == budget


def test_an_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(InvalidReuse, match="question"):
        find_policy("magic")


def test_the_floor_of_a_span_that_gradual_filtering_dropped_is_its_most_deviating() -> None:
    deviation = torch.cat([torch.zeros(10), torch.arange(1.0, 11.0), torch.full((40,), 100.0)])
    request = SelectionRequest((Span(10, 20), Span(20, 60)), budget=8, floor=2, seed=0)
    chosen = find_policy("gradual_deviation").select(request, FixedProbes(deviation)).tolist()
    assert chosen[:2] == [18, 19]
    assert len(chosen) == 8


@pytest.mark.parametrize("name", ["cache_craft", "cache_craft_focus"])
def test_cache_craft_takes_what_the_overheads_say_and_the_budget_is_a_cap(name: str) -> None:
    spans = (Span(0, 100, 0.02), Span(100, 150, 0.1), Span(150, 250, 0.0))
    probes = FixedProbes(torch.ones(250))

    def count(budget: int) -> list[int]:
        chosen = find_policy(name).select(SelectionRequest(spans, budget, 2, 0), probes)
        return [int(((chosen >= s.start) & (chosen < s.end)).sum()) for s in spans]

    assert count(250) == count(7) == [2, 5, 0]
    assert sum(count(4)) == 4
    assert count(4)[2] == 0
