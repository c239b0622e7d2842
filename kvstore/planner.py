"""Decide, on the host, what of a prompt is reused and what is computed. No tensor is touched.

A plan is plain data: it can be printed, counted and tested without a model (flashinfer's plan/run).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from kvstore import reasons
from kvstore.config import ReuseConfig
from kvstore.encodings import find_encoding, preferred
from kvstore.frame import Frame
from kvstore.keys import content_id
from kvstore.protocols import Span
from kvstore.store import Lookup
from kvstore.types import Action, ChunkKV, Encoding, Segment
from kvstore.variants import VariantCatalog

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    segment: Segment
    start: int  # first row in the prompt
    action: Action
    reason: str
    entry: ChunkKV | None = None
    tier: str | None = None
    encoding: Encoding | None = None
    # Share of a reused chunk that wants recomputing (kvstore.impact): 0 where exact, 1 if unknown.
    overhead: float = 1.0
    saved_seconds: float = 0.0  # what loading it saved against computing it, where measured

    @property
    def end(self) -> int:
        return self.start + len(self.segment.token_ids)


@dataclass(frozen=True, slots=True)
class PrefillPlan:
    segments: tuple[PlannedSegment, ...]
    reason: str

    @property
    def num_tokens(self) -> int:
        return self.segments[-1].end

    @property
    def reused_spans(self) -> tuple[Span, ...]:
        """Rows that come from the store and are not exact: what a policy may choose from."""
        return tuple(
            Span(s.start, s.end, s.overhead, s.entry.statistics.get("inter_tokens"))
            for s in self.segments
            if s.action == "reused" and s.entry is not None
        )

    @property
    def computed_spans(self) -> tuple[Span, ...]:
        return tuple(Span(s.start, s.end) for s in self.segments if s.action == "computed")


class Finder(Protocol):
    """KVStore.lookup, as the planner sees it."""

    def __call__(self, token_ids: TokenIds, context: Sequence[str], /) -> Lookup: ...


class Planner:
    """Looks segments up, some at once. `find` is KVStore.lookup."""

    def __init__(self, frame: Frame, config: ReuseConfig, variants: VariantCatalog) -> None:
        self._frame = frame
        self._config = config
        self._variants = variants
        self._loaders = ThreadPoolExecutor(config.loaders, "kv-load")  # ends with the planner

    def plan(
        self,
        segments: Sequence[Segment],
        find: Finder,
        *,
        exact_only: str | None,
        encoding: Encoding | None = None,
        counts: bool = True,
    ) -> PrefillPlan:
        """Plan a prompt P, chunks, Q. `exact_only`: the reason when only exact reuse is allowed;
        `encoding` is tried before the configured ones. Without `counts` no variant gains by it."""
        planned = self._plan_exact(segments, find)
        if exact_only is None:
            planned = self._plan_chunks(planned, find, encoding, counts)
        else:
            # the first chunk may be open because it is not stored, which is the better reason
            planned[2:] = [_computed(s, exact_only) if _is_open(s) else s for s in planned[2:]]
        return _finish(planned, exact_only, self._config.min_reusable_tokens)

    def _plan_exact(self, segments: Sequence[Segment], find: Finder) -> list[PlannedSegment]:
        """P and the first chunk; both are exact at their places, and only behind one another."""
        planned = _place(segments)
        prefix = planned[0].segment.token_ids
        if prefix != self._frame.prefix:
            return planned
        found = find(prefix, ())
        if found.entry is not None and not found.entry.is_exact:
            return planned
        planned[0] = _settle(planned[0], found, "exact", reasons.EXACT_PREFIX, None)
        if found.entry is not None and planned[1].segment.kind == "chunk":
            first = planned[1].segment
            found = find(first.token_ids, find_encoding("head").key_context(self._frame, first))
            if found.entry is None or found.entry.is_exact:  # else it is one more chunk to repair
                planned[1] = _settle(planned[1], found, "exact", reasons.FIRST_CHUNK, "head")
        return planned

    def _plan_chunks(
        self, planned: list[PlannedSegment], find: Finder, asked: Encoding | None, counts: bool
    ) -> list[PlannedSegment]:
        before: list[list[str]] = [[]]
        for one in planned:
            is_text = one.segment.kind != "link"
            before.append(before[-1] + [content_id(one.segment.token_ids)] * is_text)

        def settle(place: int) -> PlannedSegment:
            one = planned[place]
            names = preferred(self._config.encodings, one.segment, before[place])
            names = tuple(dict.fromkeys((asked, *names))) if asked else names
            return self._plan_chunk(one, find, names, before[place], place, counts)

        settled = list(planned)
        places = [place for place, one in enumerate(planned) if _is_open(one)]
        # a catalogue of variants is for one thread
        is_alone = "variant" in (asked, *self._config.encodings) or self._config.loaders == 1
        run = map if is_alone else self._loaders.map
        for place, one in zip(places, run(settle, places), strict=True):
            settled[place] = one
        return settled

    def _plan_chunk(
        self,
        planned: PlannedSegment,
        find: Finder,
        encodings: Sequence[Encoding],
        before: Sequence[str],
        place: int,
        counts: bool,
    ) -> PlannedSegment:
        """The first encoding that is stored; directly behind P that is `head`, even where a codec
        rounded it."""
        chunk = planned.segment
        missed: list[Lookup] = []
        for encoding in ("head", *encodings) if place == 1 else encodings:
            overhead = 1.0
            if encoding == "variant":
                found, overhead = self._variants.best(chunk.token_ids, before, find, counts)
            else:
                context = find_encoding(encoding).key_context(self._frame, chunk)
                found = find(chunk.token_ids, context)
            missed.append(found)
            if found.entry is not None:
                told = _settle(planned, found, "reused", _REUSED[encoding], encoding)
                return replace(told, overhead=overhead)
        return _computed(planned, _why_missed(missed))


_REUSED: dict[Encoding, str] = {
    "alone": reasons.REUSED_ALONE,
    "head": reasons.REUSED_HEAD,
    "neutral": reasons.REUSED_NEUTRAL,
    "primed": reasons.REUSED_PRIMED,
    "mean": reasons.REUSED_MEAN,
    "medoid": reasons.REUSED_MEDOID,
    "variant": reasons.REUSED_VARIANT,
}
_FRESH = {"question": reasons.QUESTION, "link": reasons.LINK}


def plan_nothing(segments: Sequence[Segment], reason: str) -> PrefillPlan:
    """Compute every row: a plain full prefill."""
    return PrefillPlan(tuple(_computed(s, reason) for s in _place(segments)), reason)


def _place(segments: Sequence[Segment]) -> list[PlannedSegment]:
    planned: list[PlannedSegment] = []
    start = 0
    for segment in segments:
        reason = _FRESH.get(segment.kind, reasons.NOT_STORED)
        planned.append(PlannedSegment(segment, start, "computed", reason))
        start += len(segment.token_ids)
    return planned


def _settle(
    planned: PlannedSegment, found: Lookup, action: Action, reason: str, encoding: Encoding | None
) -> PlannedSegment:
    if found.entry is None:
        return _computed(planned, _why_missed([found]))
    return replace(
        planned,
        action=action,
        reason=reason,
        entry=found.entry,
        tier=found.tier,
        encoding=encoding,
        overhead=0.0 if action == "exact" else 1.0,
        saved_seconds=found.saved_seconds,
    )


def _why_missed(lookups: Sequence[Lookup]) -> str:
    if any(found.corrupt for found in lookups):
        return reasons.CORRUPT
    if any(found.slower for found in lookups):
        return reasons.SLOWER_THAN_COMPUTE
    return reasons.NOT_STORED


def _computed(planned: PlannedSegment, reason: str) -> PlannedSegment:
    reason = _FRESH.get(planned.segment.kind, reason)
    computed = replace(planned, action="computed", reason=reason, saved_seconds=0.0)
    return replace(computed, entry=None, tier=None, encoding=None)


def _is_open(planned: PlannedSegment) -> bool:
    return planned.segment.kind == "chunk" and planned.action == "computed"


def _finish(planned: list[PlannedSegment], exact_only: str | None, min_tokens: int) -> PrefillPlan:
    stored = sum(s.end - s.start for s in planned if s.action != "computed")
    if stored == 0:
        return PrefillPlan(tuple(planned), reasons.NOTHING_STORED)
    if stored < min_tokens:
        # what was missing or damaged keeps saying so
        given_up = [
            s if s.action == "computed" else _computed(s, reasons.TOO_SHORT) for s in planned
        ]
        return PrefillPlan(tuple(given_up), reasons.TOO_SHORT)
    return PrefillPlan(tuple(planned), exact_only or reasons.REUSE)
