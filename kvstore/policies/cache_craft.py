"""`cache_craft`: of each chunk the share that its fix overhead says, the tokens that attended most
to what stood before them then (Cache-Craft, arXiv 2502.15734). No probe. The budget is a cap: where
all together want more, each gets its part of it; where they want less, the rest is not spent.

`cache_craft_focus` leaves out chunks the question hardly looks at. The paper stops repairing them
at a middle layer; here the question's attention over the upper layers tells before the forward.
"""

import math
from dataclasses import dataclass

import torch

from kvstore.protocols import Probes, SelectionRequest, Span

Spans = tuple[Span, ...]

FOCUS = 0.8  # of the question's attention; about what the paper's chosen chunks hold


@dataclass(frozen=True, slots=True)
class CacheCraftPolicy:
    name: str = "cache_craft"
    needs_links: bool = False
    has_focus: bool = False

    def select(self, request: SelectionRequest, probes: Probes) -> torch.Tensor:
        spans: Spans = request.spans
        rest: Spans = ()
        if self.has_focus:
            spans, rest = _focused(spans, probes.question_attention().cpu())
        shares = _shares(spans, request.budget)
        shares += _shares(rest, request.budget - sum(shares))
        chosen = [
            span.start + _ranked(span)[:count]
            for span, count in zip((*spans, *rest), shares, strict=True)
        ]
        return torch.cat(chosen).sort().values if chosen else torch.empty(0, dtype=torch.int64)


def _ranked(span: Span) -> torch.Tensor:
    """Offsets, the most dependent first; without statistics from the front on, where a chunk knows
    least of what precedes it."""
    if span.scores is None:
        return torch.arange(len(span))
    return span.scores.argsort(descending=True, stable=True)


def _shares(spans: Spans, budget: int) -> list[int]:
    """Overhead times length each. More than `budget` is split in the same proportion; what a chunk
    cannot take of it goes to the others."""
    wanted = [math.ceil(span.overhead * len(span)) for span in spans]
    if sum(wanted) <= budget:
        return wanted
    shares = [0] * len(spans)
    left = budget
    while left > 0:
        wants = [
            s.overhead * len(s) if n < len(s) else 0.0 for s, n in zip(spans, shares, strict=True)
        ]
        total = sum(wants)
        if total <= 0:
            break
        portion = left
        for place, want in enumerate(wants):
            taken = min(math.ceil(portion * want / total), len(spans[place]) - shares[place], left)
            shares[place] += taken
            left -= taken
    return shares


def _focused(spans: Spans, attention: torch.Tensor) -> tuple[Spans, Spans]:
    """The fewest spans that hold FOCUS of the attention on all of them, and the others."""
    mass = [float(attention[span.start : span.end].sum()) for span in spans]
    order = sorted(range(len(spans)), key=lambda place: -mass[place])
    kept, held = [], 0.0
    for place in order:
        kept.append(place)
        held += mass[place]
        if held >= FOCUS * sum(mass):
            break
    others = [place for place in order if place not in kept]
    return (
        tuple(spans[place] for place in sorted(kept)),
        tuple(spans[place] for place in sorted(others)),
    )
