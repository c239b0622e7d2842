"""`link_tokens`: link tokens after each chunk (kvstore.links, KVLink); a budget, where there is
one, goes where the question looks, as with `question`."""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import best_positions
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class LinkTokensPolicy:
    name: str = "link_tokens"
    needs_links: bool = True

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        return best_positions(request, probes.question_attention())
