"""`question`: tokens that the question attends to (after ProphetKV, arXiv 2602.02579).

The probe runs Q's rows once over the assembled cache, which costs about |Q|/N of a full prefill.
"""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import best_positions
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class QuestionPolicy:
    name: str = "question"
    needs_links: bool = False

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        return best_positions(request, probes.question_attention())
