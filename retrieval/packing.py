"""Where to cut a row of pieces into chunks, so that an edit moves only the cuts near it.

Of all places that leave a chunk of a good size, the cut goes to the strongest one and, among
equally strong ones, to the one whose piece has the lowest checksum. That depends on content and not
on position: two versions of a text soon cut at the same place again after a difference, where
filling chunks greedily would shift every later cut. Knows no text and no tokenizer.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol


class Strength(IntEnum):
    """How good a place to cut the end of a piece is."""

    INSIDE = 0  # a sentence goes on, or a heading or "as follows:" waits for what it announces
    LINE = 1  # end of a sentence, a list item, a row or a line of code
    BLOCK = 2  # end of a paragraph, list, table, code block or section


class Piece(Protocol):
    @property
    def tokens(self) -> int: ...

    @property
    def strength(self) -> Strength: ...

    @property
    def checksum(self) -> int: ...


def pack(pieces: Sequence[Piece], low: int, high: int) -> list[slice]:
    """Neighbouring pieces in groups of `low` to `high` tokens, smaller where it cannot be helped.

    A piece above `high` is a group of its own.
    """
    groups: list[slice] = []
    start, left = 0, sum(piece.tokens for piece in pieces)
    while left > high and start < len(pieces):
        end = _next_cut(pieces, start, left, low, high)
        groups.append(slice(start, end))
        left -= sum(piece.tokens for piece in pieces[start:end])
        start = end
    if start < len(pieces):
        groups.append(slice(start, len(pieces)))
    return groups


def _next_cut(pieces: Sequence[Piece], start: int, left: int, low: int, high: int) -> int:
    good: list[tuple[int, int, int]] = []  # within the sizes: (-strength, checksum, end)
    early = 0  # the last place before `low` that does not tear anything apart
    # Near the end two fifths, so that there is a choice of places and no tiny rest.
    low = min(low, 2 * left // 5)
    size, end = 0, start
    for end in range(start, len(pieces)):
        piece = pieces[end]
        if size and size + piece.tokens > high:
            break
        size += piece.tokens
        if low <= size and low <= left - size:
            good.append((-piece.strength, piece.checksum, end + 1))
        if piece.strength > Strength.INSIDE and 4 * size >= low:
            early = end + 1
    else:
        end = len(pieces)
    best = min(good, default=None)
    if best is not None and (best[0] < 0 or not early):
        return best[2]
    return early or max(end, start + 1)
