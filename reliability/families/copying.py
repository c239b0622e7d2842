"""L4: statistical copying (Dong, Berti-Equille, Srivastava 2009). A suggestion to a curator only.

Shared wrong values carry the evidence: independent sources rarely err alike. It starts from beliefs
that copies may already have captured, so nothing acts on it by itself. All in logs.
"""

from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray
from reliability.table import ClaimTable

COPY_RATE = 0.8
PRIOR_DEPENDENT = 0.2
FEWEST_SHARED = 10
SURE = 0.9


@dataclass(frozen=True, slots=True)
class CopySuspicion:
    one: int
    other: int
    chance: float
    shared_right: float
    shared_wrong: float
    different: float


def suspect_copies(table: ClaimTable, trust: FloatArray, z: FloatArray) -> list[CopySuspicion]:
    """Pairs of sources that look dependent, surest first. `trust` [S], `z` [V] as chances."""
    value_of = [dict[int, int]() for _ in table.sources]
    for source, value in zip(table.claim_source, table.claim_value, strict=True):
        value_of[source][int(table.value_question[value])] = int(value)
    found = []
    for i in range(len(table.sources)):
        for j in range(i + 1, len(table.sources)):
            shared = value_of[i].keys() & value_of[j].keys()
            if len(shared) >= FEWEST_SHARED:
                counts = _counts(value_of[i], value_of[j], shared, z)
                chance = dependence(*counts, float(trust[i]), float(trust[j]))
                if chance >= SURE:
                    ids = table.sources[i], table.sources[j]
                    found.append(CopySuspicion(*ids, chance, *counts))
    return sorted(found, key=lambda item: -item.chance)


def _counts(
    one: dict[int, int], other: dict[int, int], shared: set[int], z: FloatArray
) -> tuple[float, float, float]:
    """Expected numbers of questions shared right, shared wrong, and answered differently."""
    same = [float(z[one[q]]) for q in shared if one[q] == other[q]]
    return sum(same), len(same) - sum(same), float(len(shared) - len(same))


def dependence(
    right: float, wrong: float, different: float, one: float, other: float, false_values: int = 8
) -> float:
    """Chance that one of two sources copies the other, from what they share."""
    p, q = (min(max(value, 0.01), 0.99) for value in (one, other))
    both_right, both_wrong = p * q, (1 - p) * (1 - q) / false_values
    if_right = COPY_RATE * q + (1 - COPY_RATE) * both_right
    if_wrong = COPY_RATE * (1 - q) + (1 - COPY_RATE) * both_wrong
    odds = (
        np.log(PRIOR_DEPENDENT / (1 - PRIOR_DEPENDENT))
        + right * np.log(if_right / both_right)
        + wrong * np.log(if_wrong / both_wrong)
        + different * np.log(1 - COPY_RATE)
    )
    return float(1 / (1 + np.exp(-np.clip(odds, -500, 500))))
