"""What to find out next: which questions a person should answer.

Probes are not given out by what is known of a source: with equally many, asking all the same
questions was never worse (docs/log.md).
"""

from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.table import ClaimTable


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question worth a person's time, and how much its answer would settle (nats x claims)."""

    question: str
    worth: float


def questions_to_label(table: ClaimTable, chance: FloatArray, limit: int) -> list[OpenQuestion]:
    """Questions that nobody answered yet, those first whose answer would teach most.

    Worth is the entropy of the answer, `chance` [V] and what is left of 1, times the claims that
    its answer would judge.
    """
    questions = len(table.questions)
    named = np.clip(chance, 1e-12, 1.0)
    total = group_sum(table.value_question, named, questions)
    left = np.clip(1 - total, 1e-12, 1.0)
    surprise = group_sum(table.value_question, -named * np.log(named), questions)
    claims = np.bincount(table.claim_question, minlength=questions)
    worth = (surprise - left * np.log(left)) * claims * (1 - table.is_checked())
    order = np.argsort(-worth, kind="stable")[: max(0, limit)]
    return [OpenQuestion(table.questions[q], float(worth[q])) for q in order if worth[q] > 0]
