"""`value_deviation`: tokens whose fresh values differ most in the first layers (CacheBlend,
arXiv 2405.16444). Layer 0 never differs: its rows depend on token and position alone."""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import best_positions
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class ValueDeviationPolicy:
    name: str = "value_deviation"
    needs_links: bool = False
    layers: tuple[int, ...] = (1, 2)  # both, as measured for DESIGN 5; the paper checks layer 1

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        return best_positions(request, probes.value_deviation(self.layers))
