"""Pick the best-scored positions of several spans within one budget. Shared by scoring policies."""

from collections.abc import Sequence

import torch

from kvstore.protocols import SelectionRequest, Span


def positions_of(spans: Sequence[Span]) -> torch.Tensor:
    """All positions of the spans, sorted, int64."""
    ranges = [torch.arange(span.start, span.end) for span in spans]
    return torch.cat(ranges) if ranges else torch.empty(0, dtype=torch.int64)


def best_positions(request: SelectionRequest, scores: torch.Tensor) -> torch.Tensor:
    """`budget` positions with the highest score [N]; every span gets its `floor` best first.

    A chunk that looks unimportant still gets some repair: without a floor one dominant passage
    takes the whole budget. Ties are broken by position, so a choice can be repeated.
    """
    scores = scores.to(device="cpu", dtype=torch.float32)
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    floor = min(request.floor, request.budget // max(1, len(request.spans)))
    if floor:
        for span in request.spans:
            chosen[span.start + _top(scores[span.start : span.end], floor)] = True
    rest = positions_of(request.spans)
    rest = rest[~chosen[rest]]
    left = min(request.budget, int(chosen.sum()) + len(rest)) - int(chosen.sum())
    chosen[rest[_top(scores[rest], left)]] = True
    return chosen.nonzero().flatten()


def _top(scores: torch.Tensor, count: int) -> torch.Tensor:
    return scores.argsort(descending=True, stable=True)[:count]
