"""Order of passages in a prompt: what is stored first among near ties of relevance.

The first place behind P is reused exactly and each stored neighbour adds to one reused run
(CacheWeaver, arXiv 2606.19667), but never across a gap: relevance decides, warmth breaks ties.
"""

from collections.abc import Sequence

# Scores this close, as a share of the best, count as tied. Small: reordering across a real
# difference has not been measured to be harmless.
TIE = 0.02


def warm_order(scores: Sequence[float], is_warm: Sequence[bool], tie: float = TIE) -> list[int]:
    """Places of passages in their given order, stored ones first inside each run of near ties.

    scores: relevance, in prompt order. A run ends where a score lies more than `tie` of the best
    one from the run's first, so that many small steps cannot carry a passage far.
    """
    order: list[int] = []
    start = 0
    gap = tie * max(map(abs, scores), default=0.0)
    while start < len(scores):
        end = start
        while end < len(scores) and abs(scores[start] - scores[end]) <= gap:
            end += 1
        run = range(start, end)
        order += sorted(run, key=lambda place: (not is_warm[place], place))
        start = end
    return order
