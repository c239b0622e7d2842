"""`seam`: the first tokens of every reused chunk (EPIC / LegoLink, arXiv 2410.15332).

They were encoded as if little preceded them, so they act as attention sinks.
"""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import positions_of
from kvstore.protocols import Probes, SelectionRequest, Span


@dataclass(frozen=True, slots=True)
class SeamPolicy:
    name: str = "seam"
    needs_links: bool = False

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:  # noqa: ARG002
        heads = [
            Span(span.start, span.start + share)
            for span, share in zip(request.spans, _shares(request), strict=True)
        ]
        return positions_of(heads)


def _shares(request: SelectionRequest) -> list[int]:
    """Split the budget evenly; what a short chunk cannot take goes to the others."""
    shares = [0] * len(request.spans)
    left = request.budget
    while left > 0:
        open_spans = [i for i, span in enumerate(request.spans) if shares[i] < len(span)]
        if not open_spans:
            break
        portion = max(1, left // len(open_spans))
        for i in open_spans:
            taken = min(portion, len(request.spans[i]) - shares[i], left)
            shares[i] += taken
            left -= taken
    return shares
