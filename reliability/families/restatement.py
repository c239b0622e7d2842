"""L2: the same answer in other words, close in meaning, and appearing together.

Meaning alone is no proof: honest sources say the same thing too. So the passages must also have
appeared within days of one another, or come from accounts first seen together.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from reliability.arrays import FloatArray
from reliability.families.types import Join, Passage

LIMIT_SHARE = 0.995  # of random pairs on one topic lie below the limit
FEWEST_PAIRS = 200  # below that the limit is not known, and L2 stays off
WINDOW_DAYS = 3.0


def cosine_limit(random_pairs: Iterable[float]) -> float | None:
    """The corpus's own limit from cosines of random same-topic pairs; None for too few."""
    data = np.fromiter(random_pairs, dtype=np.float64)
    return float(np.quantile(data, LIMIT_SHARE)) if len(data) >= FEWEST_PAIRS else None


def restatement_joins(passages: Sequence[Passage], limit: float | None) -> list[Join]:
    """Joins passages of one question and answer; `limit` None switches the level off."""
    if limit is None:
        return []
    joins = []
    for one, other in combinations(passages, 2):
        same = (one.question, one.answer) == (other.question, other.answer)
        if not same or one.answer is None or one.source == other.source:
            continue
        together = _together(one, other)
        if together and _cosine(one.embedding, other.embedding) > limit:
            joins.append(Join(one.passage_id, other.passage_id, "L2", f"restated, {together}"))
    return joins


def _cosine(one: FloatArray | None, other: FloatArray | None) -> float:
    return -1.0 if one is None or other is None else float(one @ other)


def _together(one: Passage, other: Passage) -> str:
    if _near(one.day, other.day):
        return f"within {WINDOW_DAYS:g} days"
    if _near(one.source_first_day, other.source_first_day):
        return "by accounts first seen together"
    return ""


def _near(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= WINDOW_DAYS
