"""Order of passages in a prompt: what is stored first among near ties of relevance.

The first place behind P is reused exactly and each stored neighbour adds to one reused run
(CacheWeaver, arXiv 2606.19667), but never across a gap: relevance decides, warmth breaks ties.
"""

from collections.abc import Sequence

# Scores this close, as a share of the best, count as tied. Small: reordering across a real
# difference has not been measured to be harmless.
TIE = 0.02


def warm_order(scores: Sequence[float], is_warm: Sequence[bool], tie: float = TIE) -> list[int]:
    """Places of passages sorted best first, stored ones first inside each run of near ties.

    scores: best first. A run ends where a score falls more than `tie` of the best one below the
    run's first, so that many small steps cannot carry a passage far.
    """
    order: list[int] = []
    start = 0
    gap = tie * abs(scores[0]) if scores else 0.0
    while start < len(scores):
        end = start
        while end < len(scores) and scores[start] - scores[end] <= gap:
            end += 1
        run = range(start, end)
        order += sorted(run, key=lambda place: (not is_warm[place], place))
        start = end
    return order
