"""Which chunks of a document stand before one of them while it is encoded as `primed` or `mean`.

Its neighbours: they use the same names and share its label, so rows computed behind them already
know most of what passages of the same document would have told them. Mean KL at ratio 0 on five
paragraphs of one article: 0.008 behind two neighbours, 0.016 behind one, 0.031 behind two neutral
passages, 0.066 behind P alone; among unrelated passages two neighbours equal two neutral ones.
"""

NUM_NEAR = 2


def primer_places(place: int, count: int) -> tuple[int, ...]:
    """Places of the primers of chunk `place` among `count`, at most four: first its near ones, of
    which there are at most `NUM_NEAR`, then the others. Both in prompt order.

    Near are the two before it; at the start, where there are none, the two after it. In a document
    of two or three chunks one neighbour may be all there is. The others are the closest of those
    that are left: in the middle of a document, the two after it. Each primer's own rows need no
    others: the first stands behind P, the second is a chunk behind its own neighbour.
    """
    near = _near(place, count)
    left = [other for other in range(count) if other not in (*near, place)]
    left.sort(key=lambda other: abs(other - place))
    return (*near, *sorted(left[:NUM_NEAR]))


def _near(place: int, count: int) -> tuple[int, ...]:
    if place >= 2:
        return (place - 2, place - 1)
    if place + 2 < count:
        return (place + 1, place + 2)
    if place == 1:
        return (0,)
    return (1,) if count == 2 else ()
