"""Before an answer: which passages are kept, given how far their sources are believed.

Knows no text: it sees ids, scores and beliefs.
"""

import math
from collections.abc import Mapping, Sequence

from reliability.errors import InvalidReliability
from reliability.prior import prior_with_mean
from reliability.selection import Candidate, Ranked, rank
from reliability.types import Assessment, BetaPosterior, Dropped, Evidence

# Below one right statement in twenty a source only does harm, however well its passage matches.
DISTRUST_FLOOR = 0.05

# Scores of fused rankings lie close together: a passage found by both searches has twice the score
# of one found by one, the first 1.6 times that of the fortieth. At a quarter, sources at 0.9 and at
# 0.2 differ by a factor of 1.4, so reliability reorders neighbours and never outweighs a match in
# words and meaning.
RANK_BETA = 0.25
LEAST_RELEVANCE = 1e-6

SOURCE_DISTRUSTED = "source_distrusted"
OVER_LIMIT = "over_limit"


class Assessor:
    def __init__(self, distrust_floor: float = DISTRUST_FLOOR) -> None:
        if not 0 <= distrust_floor < 1:
            raise InvalidReliability(f"the floor must be at least 0 and below 1: {distrust_floor}")
        self._distrust_floor = distrust_floor

    def assess(
        self,
        evidence: Sequence[Evidence],
        posteriors: Mapping[int, BetaPosterior],
        limit: int,
        *,
        beta: float = RANK_BETA,
    ) -> Assessment:
        """Keep the best `limit` passages of sources above the floor.

        `score` is relevance, above 0 on any scale. Reliability, by its lower quantile, reorders
        what is relevant already; with `beta` 0 it plays no part at all. Equal ones keep their
        order. A source without a posterior is believed like any new one.
        """
        unknown = prior_with_mean(0.5)
        beliefs = {item.source_id: posteriors.get(item.source_id, unknown) for item in evidence}
        weights = {source: belief.mean for source, belief in beliefs.items()}
        kept: list[int] = []
        dropped: list[Dropped] = []
        for item in _ordered(evidence, beliefs, beta):
            if beta > 0 and weights[item.source] < self._distrust_floor:
                dropped.append(Dropped(item.passage_id, SOURCE_DISTRUSTED))
            elif len(kept) >= limit:
                dropped.append(Dropped(item.passage_id, OVER_LIMIT))
            else:
                kept.append(item.passage_id)
        return Assessment(tuple(kept), tuple(dropped), weights)


def _ordered(
    evidence: Sequence[Evidence], beliefs: Mapping[int, BetaPosterior], beta: float
) -> list[Ranked]:
    """By relevance, as a share of the best, and reliability."""
    by_relevance = sorted(evidence, key=lambda item: -item.score)
    top = max((item.score for item in evidence), default=0.0)
    top = top if top > 0 else math.inf
    candidates = [
        Candidate(item.chunk_id, item.source_id, min(1.0, max(item.score / top, LEAST_RELEVANCE)))
        for item in by_relevance
    ]
    place = {item.chunk_id: number for number, item in enumerate(by_relevance)}
    ranked = rank(candidates, beliefs, beta=beta)
    return sorted(ranked, key=lambda item: (-item.score, place[item.passage_id]))
