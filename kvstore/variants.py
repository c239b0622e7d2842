"""Chunk rows kept from prompts that were computed exactly: a few contexts a chunk (Cache-Craft).

A prompt computed in full anyway is a source of rows that have seen real neighbours. Capturing runs
it once more with attention weights, so it belongs after an answer, never before its first token.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch

from kvstore.capture import captured_keys
from kvstore.errors import NotFinite, TierFull, TierUnavailable
from kvstore.impact import fix_overhead, statistics_of
from kvstore.keys import content_id
from kvstore.runner import ModelRunner
from kvstore.store import MISS, KVStore, Lookup
from kvstore.types import ChunkKV, Segment

TokenIds = tuple[int, ...]
Find = Callable[[TokenIds, Sequence[str]], Lookup]
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
    worth: float = 0.0  # reuses per fix overhead


class VariantCatalog:
    """Which contexts each chunk is stored behind, at most `limit` of them. One thread at a time.

    alpha scales the fix overhead; the paper calibrates it, 1 takes the ratio as it is.
    """

    def __init__(self, limit: int = USUAL_VARIANTS, alpha: float = 1.0) -> None:
        self._limit = limit
        self._alpha = alpha
        self._known: dict[str, list[_Variant]] = {}

    def seed(self, stored: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """Begin with what an earlier process kept: (content, context) of every entry. Those without
        statistics are no variants, which shows when one is read."""
        for content, context in stored:
            if len(context) > 1:
                self._known.setdefault(content, []).append(_Variant(context))

    def best(self, token_ids: TokenIds, before: Sequence[str], find: Find) -> tuple[Lookup, float]:
        """The stored variant with the least fix overhead behind `before` (P first), and that."""
        known = self._known.get(content_id(token_ids), [])
        chosen, least, used = MISS, 1.0, None
        for variant in list(known):
            found = find(token_ids, variant.context)
            if found.entry is None or "inter_chunks" not in found.entry.statistics:
                known.remove(variant)
                continue
            old = variant.context[1:]
            overhead = fix_overhead(found.entry.statistics, old, before[1:], self._alpha)
            if chosen.entry is None or overhead < least:
                chosen, least, used = found, overhead, variant
        if used is not None:
            used.worth += 1.0 / max(least, SMALLEST_OVERHEAD)
        return chosen, least

    def add(self, token_ids: TokenIds, context: tuple[str, ...]) -> tuple[str, ...] | None:
        """Remember a context; returns the one that had to go for it, the least worth."""
        known = self._known.setdefault(content_id(token_ids), [])
        if any(variant.context == context for variant in known):
            return None
        gone = None
        if len(known) >= self._limit:
            least = min(known, key=lambda variant: variant.worth)
            known.remove(least)
            gone = least.context
        known.append(_Variant(context))
        return gone


class VariantCapture:
    """Computes a prompt exactly and stores what each chunk looked like in it."""

    def __init__(self, runner: ModelRunner, store: KVStore, catalog: VariantCatalog) -> None:
        self._runner = runner
        self._store = store
        self._catalog = catalog

    def capture(self, segments: Sequence[Segment]) -> int:
        """Store the chunks of a prompt P, chunks, Q, from the second on; returns how many."""
        shown = [s for s in segments if s.kind in ("prefix", "chunk")]
        if sum(len(s.token_ids) for s in shown) > MAX_TOKENS:
            return 0
        entries = self._entries(shown)
        stored = 0
        for entry, context in entries:
            try:
                self._store.put(entry)
            except (TierFull, TierUnavailable, NotFinite):
                break
            stored += 1
            gone = self._catalog.add(entry.token_ids, context)
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
