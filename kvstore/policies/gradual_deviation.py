"""`gradual_deviation`: CacheBlend's choice made layer by layer (arXiv 2405.16444, section 4).

Each check layer keeps the most deviating of those the layer before kept, and fewer of them, so the
share falls to the budget. The paper describes it; its released code looks at one layer.
"""

from dataclasses import dataclass

import torch

from kvstore.policies.top_scores import best_positions, positions_of
from kvstore.protocols import Probes, SelectionRequest


@dataclass(frozen=True, slots=True)
class GradualDeviationPolicy:
    name: str = "gradual_deviation"
    needs_links: bool = False
    # Layer and how many times the budget stays after it.
    steps: tuple[tuple[int, float], ...] = ((1, 2.0), (2, 1.5), (3, 1.0))

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        eligible = reused = positions_of(request.spans)
        scores = torch.zeros(0)
        # the deepest first: its forward passes the others
        deviations = [probes.value_deviation((layer,)).cpu() for layer, _ in reversed(self.steps)]
        for (_, times), deviation in zip(self.steps, reversed(deviations), strict=True):
            scores = torch.full_like(deviation, -torch.inf)
            scores[eligible] = deviation[eligible]
            count = min(len(eligible), int(times * request.budget) + 1)
            eligible = eligible[scores[eligible].argsort(descending=True, stable=True)[:count]]
        # A span of which no token came so far still gets its floor, by the last layer looked at.
        # Other rows (the question's) hold anything until they are computed, NaN too.
        dropped = reused[scores[reused] == -torch.inf]
        last = deviations[0]
        scores[dropped] = last[dropped] - last[reused].max() - 1.0
        return best_positions(request, scores)
