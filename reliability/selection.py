"""Which sources are asked, in which order, and when asking more cannot change the vote.

After RA-RAG's kappa-RRSS. Ranking uses the lower quantile of a belief, so that a source nobody
knows does not pass for a good one; reliability only reorders what is relevant already.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reliability.errors import InvalidReliability
from reliability.posterior import lower_quantile
from reliability.prior import class_prior
from reliability.types import BetaPosterior

RANK_QUANTILE = 0.2
RANK_FLOOR = 0.2
DEFAULT_BETA = 0.5

StopReason = Literal["decided", "kappa", "budget", "all_asked"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that retrieval found; `relevance` is its chance to be relevant, in (0, 1]."""

    passage_id: int
    source: int
    relevance: float


@dataclass(frozen=True, slots=True)
class Ranked:
    passage_id: int
    source: int
    score: float


def rank(
    candidates: Sequence[Candidate],
    posteriors: Mapping[int, BetaPosterior],
    *,
    beta: float = DEFAULT_BETA,
    quarantined: Collection[int] = (),
) -> list[Ranked]:
    """ln relevance + beta ln R, best first; R is the 20 % quantile of the belief, at least 0.2.

    Quarantined sources are left out, not weighed down. `beta` 0 switches reliability off.
    """
    if not 0 <= beta < math.inf:
        raise InvalidReliability(f"beta must be at least 0 and finite, not {beta}")
    quantiles = {
        source: max(RANK_FLOOR, lower_quantile(_belief(posteriors, source), RANK_QUANTILE))
        for source in {candidate.source for candidate in candidates}
    }
    ranked = []
    for candidate in candidates:
        if candidate.source in quarantined:
            continue
        if not 0 < candidate.relevance <= 1:
            raise InvalidReliability(f"relevance must lie in (0, 1]: {candidate.relevance}")
        score = math.log(candidate.relevance) + beta * math.log(quantiles[candidate.source])
        ranked.append(Ranked(candidate.passage_id, candidate.source, score))
    return sorted(ranked, key=lambda item: (-item.score, item.passage_id))


def _belief(posteriors: Mapping[int, BetaPosterior], source: int) -> BetaPosterior:
    return posteriors.get(source, class_prior("unknown"))


@dataclass(frozen=True, slots=True)
class FamilyVote:
    """What a family would add to the answer it gives; `answer` None: not asked, or nothing said."""

    family: int
    weight: float
    answer: str | None


@dataclass(frozen=True, slots=True)
class Selected:
    """Families that spoke, in the order asked, how many were asked, and why asking ended."""

    asked: tuple[int, ...]
    spoke: tuple[int, ...]
    totals: Mapping[str, float]
    reason: StopReason


def select(votes: Iterable[FamilyVote], *, kappa: int, budget: int | None = None) -> Selected:
    """Ask families from the heaviest to the lightest until more answers cannot change the winner.

    `votes` may be lazy in `answer` only: weights must be known before. A family that says nothing
    uses budget and is passed over. "decided" is lossless: the lead exceeds all that is left.
    """
    if kappa < 1:
        raise InvalidReliability(f"kappa must be at least 1, not {kappa}")
    ordered = sorted(votes, key=lambda vote: (-vote.weight, vote.family))
    left = sum(max(vote.weight, 0.0) for vote in ordered)
    loss = sum(max(-vote.weight, 0.0) for vote in ordered)
    totals: dict[str, float] = {}
    asked: list[int] = []
    spoke: list[int] = []
    for vote in ordered:
        if _lead(totals) > left + loss:
            return Selected(tuple(asked), tuple(spoke), totals, "decided")
        if len(spoke) >= kappa:
            return Selected(tuple(asked), tuple(spoke), totals, "kappa")
        if budget is not None and len(asked) >= budget:
            return Selected(tuple(asked), tuple(spoke), totals, "budget")
        asked.append(vote.family)
        left -= max(vote.weight, 0.0)
        loss -= max(-vote.weight, 0.0)
        if vote.answer is not None:
            spoke.append(vote.family)
            totals[vote.answer] = totals.get(vote.answer, 0.0) + vote.weight
    return Selected(tuple(asked), tuple(spoke), totals, "all_asked")


def _lead(totals: Mapping[str, float]) -> float:
    """How far the best answer is ahead of the second best, or of an answer nobody gave (0)."""
    ordered = sorted(totals.values(), reverse=True)
    if not ordered:
        return -math.inf
    return ordered[0] - max(ordered[1] if len(ordered) > 1 else 0.0, 0.0)
