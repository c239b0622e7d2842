"""Which tokens of a chunk to keep without knowing a question: KeyDiff (arXiv 2504.15364).

Keys that point where most keys point say little; those most unlike the mean key are kept. The paper
chooses for each head; an entry here keeps one set for all, so that a token has all its rows or
none and can be recomputed like any other. SCBench's reason to choose without a question: one entry
serves many.
"""

import math

import torch

SINKS = 4  # the first tokens of a chunk, kept always: later tokens of it lean on them


def kept_tokens(keys: torch.Tensor, share: float) -> torch.Tensor | None:
    """Sorted int64 [k] of `keys` [L, G, n, D], k = ceil(share * n) but at least the sinks; None
    where all are kept."""
    num_tokens = keys.shape[2]
    count = max(math.ceil(share * num_tokens - 1e-9), min(SINKS, num_tokens))
    if count >= num_tokens:
        return None
    scores = unlikeness(keys)
    scores[:SINKS] = torch.inf
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def unlikeness(keys: torch.Tensor) -> torch.Tensor:
    """[n] float32: minus the cosine to the mean of the normalised keys, averaged over heads."""
    unit = torch.nn.functional.normalize(keys.float(), dim=-1)
    mean = torch.nn.functional.normalize(unit.mean(2, keepdim=True), dim=-1)
    return -(unit * mean).sum(-1).mean((0, 1))
