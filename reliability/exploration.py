"""What to find out next: which sources to probe, and which questions a person should answer.

Most probes go where they narrow a belief most; a few follow a Thompson draw, so that a source which
may be the best of all gets a chance to show it. Answers to users never use a draw.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray, group_sum
from reliability.errors import InvalidReliability
from reliability.table import ClaimTable
from reliability.types import BetaPosterior

EXPLORED = 0.05  # share of probes that follow a draw


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question worth a person's time, and how much its answer would settle (nats x claims)."""

    question: str
    worth: float


def allocate_probes(
    posteriors: Mapping[int, BetaPosterior],
    budget: int,
    random: np.random.Generator,
    *,
    explored: float = EXPLORED,
) -> dict[int, int]:
    """How many of `budget` probes each source gets; sources without one are left out.

    A probe narrows a Beta(a, b) belief from variance v to v n / (n + 1) on average, n = a + b.
    """
    if budget < 0 or not 0 <= explored <= 1:
        raise InvalidReliability(f"{budget} probes with share {explored} cannot be given out")
    sources = sorted(posteriors)
    if not sources:
        return {}
    alpha = np.array([posteriors[source].alpha for source in sources])
    beta = np.array([posteriors[source].beta for source in sources])
    given = np.zeros(len(sources))
    for draws in random.random(budget) < explored:
        if draws:
            given[int(np.argmax(random.beta(alpha, beta)))] += 1
        else:
            given[int(np.argmax(_narrowing(alpha, beta, given)))] += 1
    return {source: int(n) for source, n in zip(sources, given, strict=True) if n}


def _narrowing(alpha: FloatArray, beta: FloatArray, given: FloatArray) -> FloatArray:
    """How much variance the next probe of each source takes away."""
    strength = alpha + beta
    mean = alpha / strength
    return np.asarray(mean * (1 - mean) / (strength + given + 1) ** 2)


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
