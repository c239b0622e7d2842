"""Ask several sources one question each behind the same prefix P, side by side (DESIGN 5).

A chunk directly behind P is exact as stored, so nothing is repaired: a branch costs its question
and its answer. What is not stored is computed, and every branch equals a plain run of its prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from kvstore import reasons
from kvstore.branch_cache import BranchCache, Writes
from kvstore.encodings import find_encoding
from kvstore.frame import Frame
from kvstore.planner import PlannedSegment
from kvstore.position import Rotator
from kvstore.runner import ModelRunner
from kvstore.store import KVStore, Lookup
from kvstore.types import Segment, SegmentReport, TokenCounts

# Branches of one forward are padded to the longest: one that is less than half as long as the
# longest of its group waits for the next forward.
LEAST_FILL = 0.5
HEAD = find_encoding("head")

Found = dict[tuple[int, ...], Lookup]


@dataclass(frozen=True, slots=True)
class BranchReport:
    """What one source's prompt came to: `exact_prefix` tokens came from caches, `fresh` did not."""

    segments: tuple[SegmentReport, ...]
    tokens: TokenCounts


@dataclass(frozen=True, slots=True)
class _Branch:
    segments: tuple[PlannedSegment, ...]

    @property
    def known(self) -> int:
        """Rows that come from the store: P, and what directly follows it."""
        return sum(s.end - s.start for s in self.segments if s.entry is not None)

    @property
    def length(self) -> int:
        return self.segments[-1].end

    @property
    def fresh_ids(self) -> list[int]:
        return [t for s in self.segments for t in s.segment.token_ids][self.known :]


class Ballot:
    """Prompts in one cache: the next token's logits of each, and a way to go on.

    `open` holds the branches (numbers of the prompts given) that are still answered, in the order
    of the rows of `logits` [len(open), V].
    """

    def __init__(
        self,
        runner: ModelRunner,
        cache: BranchCache,
        branches: Sequence[int],
        ends: Sequence[int],
        logits: torch.Tensor,
        reports: Sequence[BranchReport],
    ) -> None:
        self._runner = runner
        self._cache = cache
        self._ends = list(ends)
        self.open = list(branches)
        self.logits = logits
        self.reports = tuple(reports)  # by branch

    def close(self, branch: int) -> None:
        """This branch has said all; the last open one takes its place in the cache."""
        slot, last = self.open.index(branch), len(self.open) - 1
        rows = list(range(last))
        if slot != last:
            self._cache.move(last, slot)
            self.open[slot], self._ends[slot] = self.open[last], self._ends[last]
            rows[slot] = last
        del self.open[last], self._ends[last]
        self.logits = self.logits[rows]

    def extend(self, tokens: Sequence[int]) -> None:
        """Append one token to each open branch, in the order of `open`."""
        ids = torch.tensor(tokens, device=self._runner.device)[:, None]
        counts = [1] * len(tokens)
        writes = Writes.of(0, self._ends, counts, self._runner.device)
        self.logits = self._runner.forward_branches(ids, self._ends, counts, writes, self._cache)
        self._ends = [end + 1 for end in self._ends]


class Voter:
    """Keeps nothing between ballots; one thread at a time."""

    def __init__(self, runner: ModelRunner, store: KVStore, frame: Frame) -> None:
        self._runner = runner
        self._store = store
        self._frame = frame
        self._rotator = Rotator(runner.model)

    def open(
        self, prompts: Sequence[Sequence[Segment]], *, max_tokens: int, reuse: bool = True
    ) -> Ballot:
        """Prefill prompts P, chunks, Q side by side, with room for `max_tokens` more each.

        Without `reuse` every row is computed: the same answers, for comparison.
        """
        order, branches, cache = self._lay_out(prompts, max_tokens, reuse=reuse)
        logits = []
        for group in _groups(branches):
            ids, starts, counts, writes = self._fresh(branches, group)
            logits.append(self._runner.forward_branches(ids, starts, counts, writes, cache))
        of_prompt = dict(zip(order, branches, strict=True))
        reports = [_report(of_prompt[number]) for number in range(len(prompts))]
        return Ballot(
            self._runner, cache, order, [b.length for b in branches], torch.cat(logits), reports
        )

    @torch.inference_mode()
    def likelihoods(self, prompts: Sequence[Sequence[Segment]]) -> list[float]:
        """Mean log likelihood of each prompt's last segment behind all before it; its first token
        is given and does not count."""
        order, branches, cache = self._lay_out(prompts, 0, reuse=True)
        found = [0.0] * len(prompts)
        for group in _groups(branches):
            ids, starts, counts, writes = self._fresh(branches, group)
            logits = self._runner.branch_rows(ids, starts, range(max(counts)), writes, cache)
            for slot, of_slot in zip(group, logits, strict=True):
                found[order[slot]] = _last_segment(branches[slot], of_slot)
        return found

    def _lay_out(
        self, prompts: Sequence[Sequence[Segment]], max_tokens: int, *, reuse: bool
    ) -> tuple[list[int], list[_Branch], BranchCache]:
        """Prompts by slot (their numbers, and what they are) and a cache with what is stored."""
        found: Found = {}
        planned = [self._plan(segments, found, reuse=reuse) for segments in prompts]
        # cold branches first, so that those of one forward are about equally long
        order = sorted(range(len(planned)), key=lambda n: planned[n].known - planned[n].length)
        branches = [planned[n] for n in order]
        capacity = max(branch.length for branch in branches) + max_tokens
        cache = self._runner.new_branch_cache(len(branches), capacity)
        self._assemble(branches, cache)
        return order, branches, cache

    def _plan(
        self,
        segments: Sequence[Segment],
        found: Found,
        *,
        reuse: bool,
    ) -> _Branch:
        """P and the first chunk from the store; later chunks are exact behind them only."""
        planned: list[PlannedSegment] = []
        start = 0
        is_exact = reuse and segments[0].token_ids == self._frame.prefix
        for place, segment in enumerate(segments):
            item = _computed(segment, start, reuse=reuse)
            if is_exact and place < 2 and segment.kind != "question":
                item = self._find(item, found)
                is_exact = item.entry is not None
            planned.append(item)
            start = item.end
        return _Branch(tuple(planned))

    def _find(self, planned: PlannedSegment, found: Found) -> PlannedSegment:
        segment = planned.segment
        is_prefix = segment.kind == "prefix"
        context = () if is_prefix else HEAD.key_context(self._frame, segment)
        lookup = found.get(segment.token_ids)
        if lookup is None:
            lookup = found[segment.token_ids] = self._store.lookup(segment.token_ids, context)
        if lookup.entry is None or not lookup.entry.is_exact:
            reason = reasons.CORRUPT if lookup.corrupt else planned.reason
            return replace(planned, reason=reason)
        return replace(
            planned,
            action="exact",
            reason=reasons.EXACT_PREFIX if is_prefix else reasons.FIRST_CHUNK,
            entry=lookup.entry,
            tier=lookup.tier,
            encoding=None if is_prefix else "head",
        )

    def _assemble(self, branches: Sequence[_Branch], cache: BranchCache) -> None:
        """Copy stored rows to their places; P, which all have, is rotated once."""
        prefix: int | None = None  # a slot that holds P
        for slot, branch in enumerate(branches):
            for item in branch.segments:
                if item.entry is None:
                    continue
                rows = slice(item.start, item.end)
                if item.start == 0 and prefix is not None:
                    for buffer in (cache.key_buffer, cache.value_buffer):
                        buffer[:, slot, :, rows] = buffer[:, prefix, :, rows]
                    continue
                keys = item.entry.keys.to(self._runner.device)
                self._rotator.place(keys, cache.key_buffer[:, slot], item.start)
                cache.value_buffer[:, slot, :, rows].copy_(item.entry.values)
                prefix = slot if item.start == 0 else prefix

    def _fresh(
        self, branches: Sequence[_Branch], group: range
    ) -> tuple[torch.Tensor, list[int], list[int], Writes]:
        """What is to be computed in neighbouring slots: ids [len(group), n], and where it goes."""
        fresh = [branches[slot].fresh_ids for slot in group]
        starts = [branches[slot].known for slot in group]
        counts = [len(ids) for ids in fresh]
        padded = [ids + [0] * (max(counts) - len(ids)) for ids in fresh]
        device = self._runner.device
        writes = Writes.of(group.start, starts, counts, device)
        return torch.tensor(padded, device=device), starts, counts, writes


def _last_segment(branch: _Branch, logits: torch.Tensor) -> float:
    """Mean log likelihood of all but its first token; logits [n, V] of the branch's fresh rows."""
    ids = branch.segments[-1].segment.token_ids[1:]
    if not ids:
        return 0.0
    end = len(branch.fresh_ids) - 1
    chances = logits[end - len(ids) : end].float().log_softmax(-1)
    targets = torch.tensor(ids, device=logits.device)[:, None]
    return float(chances.gather(1, targets).mean())


def _computed(segment: Segment, start: int, *, reuse: bool) -> PlannedSegment:
    reason = reasons.NOT_STORED if reuse else reasons.MODE_OFF
    if segment.kind == "question":
        reason = reasons.QUESTION
    return PlannedSegment(segment, start, "computed", reason)


def _groups(branches: Sequence[_Branch]) -> list[range]:
    """Neighbours, longest first, each at least `LEAST_FILL` of its group's longest."""
    cuts = [0]
    lengths = [branch.length - branch.known for branch in branches]
    for slot, length in enumerate(lengths):
        if length < LEAST_FILL * lengths[cuts[-1]]:
            cuts.append(slot)
    return [range(first, last) for first, last in pairwise([*cuts, len(branches)])]


def _report(branch: _Branch) -> BranchReport:
    segments = tuple(
        SegmentReport(
            kind=item.segment.kind,
            num_tokens=item.end - item.start,
            action=item.action,
            recomputed=0,
            tier=item.tier,
            encoding=item.encoding,
            reason=item.reason,
        )
        for item in branch.segments
    )
    fresh = branch.length - branch.known
    return BranchReport(segments, TokenCounts(branch.length, branch.known, 0, 0, fresh))
