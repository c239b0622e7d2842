"""`question_deviation`: tokens the question attends to and whose values moved: what matters times
what is wrong. A combination of `question` and `value_deviation`."""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import best_positions
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class QuestionDeviationPolicy:
    name: str = "question_deviation"
    needs_links: bool = False
    layers: tuple[int, ...] = (1, 2)

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        moved = probes.value_deviation(self.layers).sqrt()
        return best_positions(request, probes.question_attention() * moved)
