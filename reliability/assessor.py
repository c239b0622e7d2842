"""Before an answer: which passages are kept, given how far their sources are believed.

Knows no text: it sees ids, scores and beliefs.
"""

from collections.abc import Mapping, Sequence

from reliability.errors import InvalidReliability
from reliability.prior import prior_with_mean
from reliability.types import Assessment, BetaPosterior, Dropped, Evidence

# Below one right statement in twenty a source only does harm, however well its passage matches.
DISTRUST_FLOOR = 0.05

SOURCE_DISTRUSTED = "source_distrusted"
OVER_LIMIT = "over_limit"


class Assessor:
    def __init__(self, distrust_floor: float = DISTRUST_FLOOR) -> None:
        if not 0 <= distrust_floor < 1:
            raise InvalidReliability(f"the floor must be at least 0 and below 1: {distrust_floor}")
        self._distrust_floor = distrust_floor

    def assess(
        self, evidence: Sequence[Evidence], posteriors: Mapping[int, BetaPosterior], limit: int
    ) -> Assessment:
        """Keep the best `limit` passages of sources above the floor.

        Scores weigh relevance and reliability already; equal ones keep their order. A source
        without a posterior is believed like any new one.
        """
        unknown = prior_with_mean(0.5)
        weights = {
            item.source_id: posteriors.get(item.source_id, unknown).mean for item in evidence
        }
        kept: list[int] = []
        dropped: list[Dropped] = []
        for item in sorted(evidence, key=lambda item: -item.score):
            if weights[item.source_id] < self._distrust_floor:
                dropped.append(Dropped(item.chunk_id, SOURCE_DISTRUSTED))
            elif len(kept) >= limit:
                dropped.append(Dropped(item.chunk_id, OVER_LIMIT))
            else:
                kept.append(item.chunk_id)
        return Assessment(tuple(kept), tuple(dropped), weights)
