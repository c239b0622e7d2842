"""How much a chunk's rows owe to what stood before them (Cache-Craft, arXiv 2502.15734).

Statistics are sums of attention weights, mean over heads and layers, taken once when a prompt was
computed exactly. The ratio a/b of the paper is used as it is: its sigmoid never falls under 0.5.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch

Statistics = Mapping[str, torch.Tensor]


def prefix_overlap(old: Sequence[str], new: Sequence[str], inter: Sequence[float]) -> float:
    """beta': share of the attention to `old` passages that `new` brings back, less what came in
    another order. `inter` [len(old)]: attention to each of `old`. 1 where there was none."""
    total = sum(inter)
    if total <= 0:
        return 1.0
    kept = sum(mass for passage, mass in zip(old, inter, strict=True) if passage in set(new))
    return kept / total * (1.0 - order_penalty(old, new))


def order_penalty(old: Sequence[str], new: Sequence[str]) -> float:
    """gamma: share of discordant pairs among the passages common to both (Kendall tau)."""
    places = {passage: place for place, passage in enumerate(new)}
    common = [places[passage] for passage in old if passage in places]
    pairs = list(combinations(common, 2))
    return sum(first > second for first, second in pairs) / len(pairs) if pairs else 0.0


def context_impact(statistics: Statistics) -> float:
    """CCI as a/b: attention to other passages against attention inside, by pairs of tokens."""
    outside, inside = (float(statistics[name]) for name in ("inter_density", "intra_density"))
    return outside / inside if inside > 0 else 1.0


def fix_overhead(
    statistics: Statistics, old: Sequence[str], new: Sequence[str], alpha: float
) -> float:
    """CFO: alpha * CCI * (1 - beta'), within 0 and 1. `old` and `new`: passages before the chunk
    then and now, without P."""
    overlap = prefix_overlap(old, new, statistics["inter_chunks"].tolist())
    return min(1.0, max(0.0, alpha * context_impact(statistics) * (1.0 - overlap)))


def is_complete(statistics: Statistics, num_before: int) -> bool:
    """Whether these are statistics of a chunk behind `num_before` passages, P left out."""
    names = {"inter_chunks", "inter_density", "intra_density"}
    return names <= statistics.keys() and statistics["inter_chunks"].shape == (num_before,)


def statistics_of(
    weights: torch.Tensor, spans: Sequence[tuple[int, int]], chunk: int
) -> Statistics:
    """Of chunk `chunk` among `spans` (start, end).

    weights: [N, len(spans)] float32, attention of each token of a prompt summed over each span.
    """
    start, end = spans[chunk]
    rows = weights[start:end]
    length = end - start
    inter = rows[:, :chunk]
    lengths = torch.tensor([e - s for s, e in spans[:chunk]], dtype=torch.float32)
    inter_chunks = inter.sum(0)
    return {
        "inter_tokens": inter.sum(1),
        "inter_chunks": inter_chunks,
        "inter_density": (inter_chunks / (lengths * length)).sum(),
        "intra_density": rows[:, chunk].sum() / length**2,
    }
