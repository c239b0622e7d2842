"""How much stored KV survives an edit of its document (a column of `larder eval chunking`).

A chunk's `head` rows are used again where its tokens are the same, label included; its `primed`
rows where those of its primers are too (kvstore.primers: four neighbours, since both sides count).
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvstore.primers import primer_places

EDITS_OF_A_KIND = 2
# Between paragraphs: an empty line, or the end of a line where a text has no empty ones.
_GAPS = ("\n\n", "\n")

Tokens = tuple[int, ...]
Cut = Callable[[str], list[Tokens]]  # a text to the tokens of its chunks, in order


@dataclass(frozen=True, slots=True)
class Kept:
    """Shares of the edited document's tokens whose rows need not be computed."""

    head: float
    primed: float


def kept_after_edits(text: str, cut: Cut, seed: int = 0) -> list[Kept]:
    """A word changed, a sentence added, a paragraph gone, each at random paragraphs."""
    chance = random.Random(seed)
    gap = next((found for found in _GAPS if found in text.strip()), _GAPS[0])
    paragraphs = text.split(gap)
    places = [at for at, found in enumerate(paragraphs) if len(found.split()) > 5]
    if len(places) < 2:
        return []  # one paragraph less would leave nothing
    before = cut(text)
    return [
        _kept(before, cut(gap.join(edit(paragraphs, chance.choice(places)))))
        for edit in (_change_word, _add_sentence, _drop)
        for _ in range(EDITS_OF_A_KIND)
    ]


def _kept(before: Sequence[Tokens], after: Sequence[Tokens]) -> Kept:
    total = sum(map(len, after)) or 1
    head, primed = set(before), set(_with_primers(before))
    rows = list(zip(after, _with_primers(after), strict=True))
    return Kept(
        head=sum(len(one) for one in after if one in head) / total,
        primed=sum(len(one) for one, whole in rows if whole in primed) / total,
    )


def _with_primers(chunks: Sequence[Tokens]) -> list[tuple[Tokens, ...]]:
    count = len(chunks)
    return [
        (chunk, *(chunks[near] for near in primer_places(place, count)))
        for place, chunk in enumerate(chunks)
    ]


def _change_word(paragraphs: Sequence[str], at: int) -> list[str]:
    words = list(re.finditer(r"\w+", paragraphs[at]))
    middle = words[len(words) // 2]
    changed = f"{paragraphs[at][: middle.start()]}another{paragraphs[at][middle.end() :]}"
    return [*paragraphs[:at], changed, *paragraphs[at + 1 :]]


def _add_sentence(paragraphs: Sequence[str], at: int) -> list[str]:
    longer = f"{paragraphs[at]} A sentence was added here later."
    return [*paragraphs[:at], longer, *paragraphs[at + 1 :]]


def _drop(paragraphs: Sequence[str], at: int) -> list[str]:
    return [*paragraphs[:at], *paragraphs[at + 1 :]]
