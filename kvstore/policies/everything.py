"""`all`: recompute every reused row; equals the full prefill (proof P2)."""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import positions_of
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class EverythingPolicy:
    name: str = "all"
    needs_links: bool = False

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:  # noqa: ARG002
        return positions_of(request.spans)
