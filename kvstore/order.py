"""Order of passages in a prompt: warm sequences first among near ties of relevance.

The first place behind P is reused exactly and each stored neighbour adds to one reused run
(CacheWeaver, arXiv 2606.19667), but never across a gap: relevance decides, warmth breaks ties. A
sequence is what a document's stored chunks make in its own order: `primed` rows were computed
behind just those neighbours.
"""

from collections.abc import Sequence

# Scores this close, as a share of the best, count as tied. Small: reordering across a real
# difference has not been measured to be harmless.
TIE = 0.02

Spot = tuple[int, int]  # (document, where in it)


def warm_order(
    scores: Sequence[float],
    is_warm: Sequence[bool],
    spots: Sequence[Spot] | None = None,
    tie: float = TIE,
) -> list[int]:
    """Places of passages in their given order; inside each run of near ties stored ones first, and
    of these a document's together, in its order, where its most relevant one stood.

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
        warm = [place for place in range(start, end) if is_warm[place]]
        order += warm if spots is None else _in_sequences(warm, spots)
        order += [place for place in range(start, end) if not is_warm[place]]
        start = end
    return order


def _in_sequences(places: Sequence[int], spots: Sequence[Spot]) -> list[int]:
    first: dict[int, int] = {}
    for place in places:
        first.setdefault(spots[place][0], place)
    return sorted(places, key=lambda place: (first[spots[place][0]], spots[place][1], place))
