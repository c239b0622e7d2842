"""Cache-Craft's statistics: the formulas by hand, and attention sums against a brute force."""

import pytest
import torch

from kvstore.impact import (
    context_impact,
    fix_overhead,
    order_penalty,
    prefix_overlap,
    statistics_of,
)


def test_order_penalty_counts_discordant_pairs() -> None:
    assert order_penalty("abc", "abc") == 0
    assert order_penalty("abc", "cba") == 1
    assert order_penalty("abc", "acb") == pytest.approx(1 / 3)
    assert order_penalty("abc", "xa") == 0  # one in common has no pair


def test_prefix_overlap_weighs_by_attention() -> None:
    assert prefix_overlap("ab", "a", [3.0, 1.0]) == pytest.approx(0.75)
    assert prefix_overlap("ab", "ba", [3.0, 1.0]) == 0  # all there, in the other order
    assert prefix_overlap("", "ab", []) == 1
    assert prefix_overlap("ab", "", [0.0, 0.0]) == 1


def test_overhead_is_nothing_behind_the_same_passages_and_grows_with_what_is_new() -> None:
    statistics = {
        "inter_chunks": torch.tensor([2.0, 1.0]),
        "inter_density": torch.tensor(0.3),
        "intra_density": torch.tensor(0.6),
    }
    assert context_impact(statistics) == pytest.approx(0.5)
    assert fix_overhead(statistics, "ab", "ab", 1.0) == 0
    assert fix_overhead(statistics, "ab", "xb", 1.0) == pytest.approx(0.5 * 2 / 3)
    assert fix_overhead(statistics, "ab", "x", 1.0) == pytest.approx(0.5)
    assert fix_overhead(statistics, "ab", "x", 9.0) == 1


def test_statistics_sum_attention_by_pairs_of_passages() -> None:
    spans = [(2, 5), (5, 9), (9, 12)]
    attention = torch.rand(12, 12, generator=torch.Generator().manual_seed(0)).tril()
    weights = torch.stack([attention[:, s:e].sum(1) for s, e in spans], dim=1)
    found = statistics_of(weights, spans, 2)
    assert torch.allclose(found["inter_tokens"], attention[9:12, 2:9].sum(1))
    assert torch.allclose(
        found["inter_chunks"], torch.stack([attention[9:12, 2:5].sum(), attention[9:12, 5:9].sum()])
    )
    density = attention[9:12, 2:5].sum() / 9 + attention[9:12, 5:9].sum() / 12
    assert torch.allclose(found["inter_density"], density)
    assert torch.allclose(found["intra_density"], attention[9:12, 9:12].sum() / 9)
