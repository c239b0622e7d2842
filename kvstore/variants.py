"""Chunk rows kept from prompts that were computed exactly: a few contexts a chunk (Cache-Craft).

A prompt computed in full anyway is a source of rows that have seen real neighbours. Capturing runs
it once more with attention weights, so it belongs after an answer, never before its first token.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from kvstore.capture import captured_keys
from kvstore.errors import NotFinite, TierFull, TierUnavailable
from kvstore.impact import Statistics, fix_overhead, is_complete, statistics_of
from kvstore.keys import content_id
from kvstore.runner import ModelRunner
from kvstore.store import MISS, KVStore, Lookup
from kvstore.types import ChunkKV, Segment

TokenIds = tuple[int, ...]
Find = Callable[[TokenIds, Sequence[str]], Lookup]
Peek = Callable[[TokenIds, Sequence[str]], Statistics | None]
# Weights of one layer take heads * N^2 * 4 bytes: 600 MB for 9 heads at 4,096 tokens.
MAX_TOKENS = 4096
USUAL_VARIANTS = 3  # contexts a chunk (Cache-Craft keeps 3 to 5)
SMALLEST_OVERHEAD = 0.01  # what a reuse without any fix counts as, in reuse per fix overhead


@dataclass(slots=True)
class BlockRecorder:
    """Attention of each token to each span of a prompt, summed over layers (kvstore.attention)."""

    layers: range
    spans: Sequence[tuple[int, int]]
    mass: torch.Tensor | None = field(default=None)  # [N, len(spans)] float32

    def record(self, weights: torch.Tensor) -> None:
        """weights: softmax over the keys, [..., N, N] float32."""
        mean = weights.flatten(0, -3).mean(0)
        sums = torch.stack([mean[:, start:end].sum(1) for start, end in self.spans], dim=1)
        self.mass = sums if self.mass is None else self.mass + sums


@dataclass(slots=True)
class _Variant:
    context: tuple[str, ...]  # content ids, P first
    statistics: Statistics | None = None  # None: not looked at since the process began
    worth: float = 0.0  # reuses per fix overhead


class VariantCatalog:
    """Which contexts each chunk is stored behind, at most `limit` of them and what is pinned. One
    thread at a time.

    peek: KVStore.statistics. alpha scales the fix overhead; the paper calibrates it, 1 takes the
    ratio as it is.
    """

    def __init__(self, peek: Peek, limit: int = USUAL_VARIANTS, alpha: float = 1.0) -> None:
        self._peek = peek
        self._limit = limit
        self._alpha = alpha
        self._known: dict[str, list[_Variant]] = {}

    def seed(self, stored: Iterable[tuple[str, tuple[str, ...]]], prefix: str) -> None:
        """Begin with what an earlier process kept: (content, context) of every entry. `prefix`: the
        content id of P. Those without statistics are `neutral` rows, which shows at the first look
        at a chunk."""
        for content, context in stored:
            if len(context) > 1 and context[0] == prefix:
                self._known.setdefault(content, []).append(_Variant(context))

    def best(
        self, token_ids: TokenIds, before: Sequence[str], find: Find, counts: bool = True
    ) -> tuple[Lookup, float]:
        """The stored variant with the least fix overhead behind `before` (P first), and that.

        Only the chosen one is read. One that is gone is forgotten and the next one tried; one that
        cannot be read just now stays known. Only with `counts` is it worth more for it.
        """
        known = self._of(token_ids)
        missed = MISS
        for overhead, variant in sorted(
            ((self._overhead(variant, before), variant) for variant in known), key=lambda x: x[0]
        ):
            found = find(token_ids, variant.context)
            if found.entry is not None:
                if counts:
                    variant.worth += 1.0 / max(overhead, SMALLEST_OVERHEAD)
                return found, overhead
            if not (found.slower or found.away):
                known.remove(variant)
            missed = found
        return missed, 1.0

    def add(
        self,
        token_ids: TokenIds,
        context: tuple[str, ...],
        statistics: Statistics,
        is_pinned: Callable[[tuple[str, ...]], bool],
    ) -> tuple[str, ...] | None:
        """Remember a context; returns the one that had to go for it, the least worth. What is
        pinned stays, and is not counted."""
        known = self._of(token_ids)
        if any(variant.context == context for variant in known):
            return None
        gone = None
        free = [variant for variant in known if not is_pinned(variant.context)]
        if len(free) >= self._limit:
            least = min(free, key=lambda variant: variant.worth)
            known.remove(least)
            gone = least.context
        known.append(_Variant(context, statistics))
        return gone

    def _of(self, token_ids: TokenIds) -> list[_Variant]:
        """The variants of a chunk, with their statistics."""
        known = self._known.setdefault(content_id(token_ids), [])
        for variant in [v for v in known if v.statistics is None]:
            statistics = self._peek(token_ids, variant.context)
            if statistics is None or not is_complete(statistics, len(variant.context) - 1):
                known.remove(variant)
            else:
                variant.statistics = statistics
        return known

    def _overhead(self, variant: _Variant, before: Sequence[str]) -> float:
        assert variant.statistics is not None  # `_of` saw to it
        return fix_overhead(variant.statistics, variant.context[1:], before[1:], self._alpha)


class VariantCapture:
    """Computes a prompt exactly and stores what each chunk looked like in it."""

    def __init__(self, runner: ModelRunner, store: KVStore, catalog: VariantCatalog) -> None:
        self._runner = runner
        self._store = store
        self._catalog = catalog

    def capture(self, segments: Sequence[Segment]) -> int:
        """Store the chunks of a prompt P, chunks, Q, from the second on; returns how many."""
        shown = [s for s in segments if s.kind in ("prefix", "chunk")]
        if len(shown) < 3 or sum(len(s.token_ids) for s in shown) > MAX_TOKENS:
            return 0
        entries = self._entries(shown)
        stored = 0
        for entry, context in entries:
            try:
                self._store.put(entry)
            except (TierFull, TierUnavailable, NotFinite):
                break
            stored += 1
            gone = self._catalog.add(
                entry.token_ids,
                context,
                entry.statistics,
                partial(self._store.is_pinned, entry.token_ids),
            )
            if gone is not None:
                self._store.discard(entry.token_ids, gone)
        return stored

    def _entries(self, shown: Sequence[Segment]) -> list[tuple[ChunkKV, tuple[str, ...]]]:
        ends = torch.tensor([len(s.token_ids) for s in shown]).cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        layout = self._runner.layout
        recorder = BlockRecorder(
            range(layout.num_layers), list(zip(starts[1:], ends[1:], strict=True))
        )
        device = self._runner.device
        ids = torch.tensor([t for s in shown for t in s.token_ids], device=device)
        cache = self._runner.new_cache(len(ids))
        with captured_keys(self._runner.model) as layers:
            self._runner.forward_all(ids, cache, recorder=recorder)
        assert recorder.mass is not None
        mass = (recorder.mass / layout.num_layers).cpu()
        contents = tuple(content_id(s.token_ids) for s in shown)
        entries = []
        for place in range(2, len(shown)):
            rows = slice(starts[place], ends[place])
            ids_of, context = shown[place].token_ids, contents[:place]
            entry = ChunkKV(
                self._store.key_of(ids_of, context),
                ids_of,
                torch.stack([layer[:, rows] for layer in layers]),
                cache.value_buffer[:, 0, :, rows].clone(),
                statistics=statistics_of(mass, recorder.spans, place - 1),
            )
            entries.append((entry, context))
        return entries
