"""How a chunk is encoded before it is kept: behind what, and what is made of several tries.

One line of `ENCODINGS` each. A single context gives rows computed exactly under it; several give
their mean or their medoid, and the entry's context names them all (DESIGN 4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from kvstore.encode import Rows
from kvstore.errors import InvalidReuse
from kvstore.frame import Frame, TokenIds
from kvstore.keys import content_id
from kvstore.primers import NUM_NEAR
from kvstore.types import Encoding, Segment

Before = tuple[TokenIds, ...]  # what stood before a chunk, P first
Combine = Literal["only", "mean", "medoid"]


@dataclass(frozen=True, slots=True)
class EncodingRule:
    """`contexts` of a chunk, most like a prompt first; `combine` says what several become."""

    name: Encoding
    contexts: Callable[[Frame, Segment], tuple[Before, ...]]
    combine: Combine = "only"

    def key_context(self, frame: Frame, chunk: Segment) -> tuple[str, ...]:
        """Content ids of all that the rows saw, for the entry's key and for purges."""
        contexts = self.contexts(frame, chunk)
        if self.combine == "only":
            return tuple(content_id(ids) for ids in contexts[0])
        named: list[str] = [self.combine]
        for before in contexts:
            named += ["behind", *(content_id(ids) for ids in before)]
        return tuple(named)


def _alone(frame: Frame, chunk: Segment) -> tuple[Before, ...]:  # noqa: ARG001
    return ((),)


def _head(frame: Frame, chunk: Segment) -> tuple[Before, ...]:  # noqa: ARG001
    return ((frame.prefix,),)


def _neutral(frame: Frame, chunk: Segment) -> tuple[Before, ...]:  # noqa: ARG001
    return ((frame.prefix, *frame.primers),)


def _near(frame: Frame, chunk: Segment) -> Before:
    """Neutral primers fill up what neighbours are missing, farthest from the chunk: one neighbour
    behind a neutral passage drifts a quarter less than one neighbour alone."""
    near = chunk.primers[:NUM_NEAR]
    missing = max(0, len(frame.primers) - len(near))
    return (frame.prefix, *frame.primers[:missing], *near)


def _primed(frame: Frame, chunk: Segment) -> tuple[Before, ...]:
    """Behind its near primers and behind the others, filled up with the near ones in reverse: what
    one context lacks or has too much of the other makes up for (docs/kv-reuse.md)."""
    near = _near(frame, chunk)
    others = (*chunk.primers[NUM_NEAR:], *reversed(near[1:]))
    return tuple(dict.fromkeys((near, (frame.prefix, *others[: len(near) - 1]))))


def _turned(frame: Frame, chunk: Segment) -> tuple[Before, ...]:
    """The same, and behind its near primers in reverse."""
    near, *others = _primed(frame, chunk)
    return tuple(dict.fromkeys((near, *others, (near[0], *reversed(near[1:])))))


ENCODINGS: dict[str, EncodingRule] = {
    rule.name: rule
    for rule in (
        EncodingRule("alone", _alone),
        EncodingRule("head", _head),
        EncodingRule("neutral", _neutral),
        EncodingRule("primed", _primed, "mean"),
        EncodingRule("mean", _turned, "mean"),
        EncodingRule("medoid", _turned, "medoid"),
    )
}


def find_encoding(name: str) -> EncodingRule:
    """The encoding called `name`; raises InvalidReuse with the known names."""
    if name not in ENCODINGS:
        raise InvalidReuse(f"unknown encoding {name!r}; known: {', '.join(ENCODINGS)}")
    return ENCODINGS[name]


def preferred(
    names: Sequence[Encoding], chunk: Segment, before: Sequence[str]
) -> tuple[Encoding, ...]:
    """`names` in the order for a chunk behind the contents `before`: where none of its primers is
    among them, `neutral` rows drift a third less than `primed` ones, and go first if wanted."""
    strange = bool(chunk.primers) and not {content_id(ids) for ids in chunk.primers} & set(before)
    if strange and "neutral" in names and "primed" in names:
        return tuple(dict.fromkeys(("neutral", *names)))
    return tuple(names)


def combined(rule: EncodingRule, tries: Sequence[Rows]) -> Rows:
    """One entry's rows out of the rows [L, G, n, D] of each context."""
    if rule.combine == "only":
        return tries[0]
    mean = Rows(
        torch.stack([rows.keys for rows in tries]).float().mean(0).to(tries[0].keys.dtype),
        torch.stack([rows.values for rows in tries]).float().mean(0).to(tries[0].values.dtype),
    )
    if rule.combine == "mean":
        return mean
    return min(tries, key=lambda rows: _distance(rows, mean))


def _distance(rows: Rows, other: Rows) -> float:
    """Relative squared distance, keys and values alike: keys are several times larger."""
    return sum(
        float((a - b).float().square().sum() / b.float().square().sum().clamp(min=1e-12))
        for a, b in ((rows.keys, other.keys), (rows.values, other.values))
    )
