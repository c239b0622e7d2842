"""`random`: the control every other policy must beat."""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import positions_of
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class RandomPolicy:
    name: str = "random"
    needs_links: bool = False

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:  # noqa: ARG002
        positions = positions_of(request.spans)
        generator = torch.Generator().manual_seed(request.seed)
        order = torch.randperm(len(positions), generator=generator)
        return positions[order[: request.budget]].sort().values
