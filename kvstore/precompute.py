"""Store the encodings of chunks that prompts will ask for (kvstore.encodings).

`head` and `primed` cost four forwards a chunk: behind P, behind the primers on either side, and of
two primers the nearer one has to be computed behind the farther one. Such rows are not kept, but
the pair behind a chunk is also the pair before the third one after it.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from kvstore.config import ReuseConfig
from kvstore.encode import Encoder, Rows, pack
from kvstore.encodings import Before, EncodingRule, combined, find_encoding
from kvstore.errors import NotFinite, TierFull, TierUnavailable
from kvstore.frame import Frame, TokenIds
from kvstore.keydiff import kept_tokens
from kvstore.keys import content_id
from kvstore.store import KVStore
from kvstore.types import ChunkKV, EntryKey, Segment

logger = logging.getLogger(__name__)

# Rows of contexts kept in memory during one run: P, single neighbours, and pairs of them until the
# third chunk after; 12 MB each at 250 tokens of the bundled model.
NUM_KEPT = 14


@dataclass(frozen=True, slots=True)
class Precomputed:
    stored: int
    already: int
    left: int
    num_tokens: int
    reason: str | None


class Precomputer:
    """Writes to the store; one thread at a time."""

    def __init__(self, encoder: Encoder, store: KVStore, frame: Frame, config: ReuseConfig) -> None:
        self._encoder = encoder
        self._store = store
        self._frame = frame
        self._pack_tokens = config.pack_tokens
        self._keep_share = config.keep_share
        # `head` first: neighbours are needed behind P, and the first chunk of a prompt is exact
        names = dict.fromkeys(("head", *config.encodings))
        self._rules = [find_encoding(name) for name in names if name != "variant"]

    def prepare(self) -> None:
        """Compute and pin what every prompt begins with: P, then the neutral primers behind it."""
        frame = self._frame
        _Contexts(self._encoder, self._store, frame).rows((frame.prefix, *frame.primers))

    def run(self, chunks: Sequence[Segment], *, evict: bool) -> Iterator[Precomputed]:
        """One report a batch, so that a caller can let questions go first in between. Without
        `evict` it stops at the disk budget."""
        contexts = _Contexts(self._encoder, self._store, self._frame)
        unique = list(dict.fromkeys(chunks))
        for batch in pack(unique, self._pack_tokens, lambda chunk: len(chunk.token_ids)):
            report = self._store_missing(batch, self._rules[0], contexts, evict)
            for rule in self._rules[1:]:
                if report.reason is None:
                    report = _weaker(report, self._store_missing(batch, rule, contexts, evict))
            yield report

    def _store_missing(
        self, batch: Sequence[Segment], rule: EncodingRule, contexts: "_Contexts", evict: bool
    ) -> Precomputed:
        missing = [chunk for chunk in batch if not self._is_stored(chunk, rule)]
        stored = 0
        num_tokens = 0
        reason = None
        for chunk, rows in self._encode(missing, rule, contexts):
            key = self._store.key_of(chunk.token_ids, rule.key_context(self._frame, chunk))
            reason = _keep(self._store, self._entry(key, chunk, rows), evict=evict)
            if reason is not None:
                break
            stored += 1
            num_tokens += len(chunk.token_ids)
        already = len(batch) - len(missing)
        return Precomputed(stored, already, len(missing) - stored, num_tokens, reason)

    def _encode(
        self, chunks: Sequence[Segment], rule: EncodingRule, contexts: "_Contexts"
    ) -> Iterator[tuple[Segment, Rows]]:
        """Chunks behind the same context share one forward."""
        together: dict[Before, list[Segment]] = {}
        for chunk in chunks:
            for before in rule.contexts(self._frame, chunk):
                together.setdefault(before, []).append(chunk)
        tries: dict[Segment, list[Rows]] = {chunk: [] for chunk in chunks}
        for before, group in together.items():
            found = contexts.behind(before, [chunk.token_ids for chunk in group])
            for chunk, rows in zip(group, found, strict=True):
                tries[chunk].append(rows)
        for chunk, of_chunk in tries.items():
            yield chunk, combined(rule, of_chunk)

    def _entry(self, key: EntryKey, chunk: Segment, rows: Rows) -> ChunkKV:
        kept = kept_tokens(rows.keys, self._keep_share)
        if kept is None:
            return ChunkKV(key, chunk.token_ids, rows.keys, rows.values)
        keys, values = (part[:, :, kept].contiguous() for part in (rows.keys, rows.values))
        return ChunkKV(key, chunk.token_ids, keys, values, kept.to(torch.int32))

    def _is_stored(self, chunk: Segment, rule: EncodingRule) -> bool:
        return self._store.contains(chunk.token_ids, rule.key_context(self._frame, chunk))


class _Contexts:
    """Rows of what chunks are encoded behind: remembered, else stored exactly, else computed."""

    def __init__(self, encoder: Encoder, store: KVStore, frame: Frame) -> None:
        self._encoder = encoder
        self._store = store
        self._frame = frame
        self._kept: OrderedDict[tuple[TokenIds, ...], Rows] = OrderedDict()

    def rows(self, segments: Before) -> list[Rows]:
        """Rows of each segment behind those before it."""
        found: list[Rows] = []
        for end in range(1, len(segments) + 1):
            found.append(self._last_row(segments[:end], found))
        return found

    def behind(self, before: Before, segments: Sequence[TokenIds]) -> list[Rows]:
        """Rows of each segment right behind `before`, computed together where nothing needed them
        as a context yet. Behind P they are the next chunks' neighbours."""
        context = self.rows(before)
        found = {
            ids: self._kept[path] for ids in segments if (path := (*before, ids)) in self._kept
        }
        missing = [ids for ids in segments if ids not in found]
        found |= zip(missing, self._encoder.encode(context, missing), strict=True)
        if len(before) == 1:
            for ids in segments:
                self._remember((*before, ids), found[ids])
        return [found[ids] for ids in segments]

    def _remember(self, segments: tuple[TokenIds, ...], rows: Rows) -> None:
        """Keep the rows of the last of `segments`, for as long as few others were needed."""
        self._kept[segments] = rows
        self._kept.move_to_end(segments)
        while len(self._kept) > NUM_KEPT:
            self._kept.popitem(last=False)

    def _last_row(self, segments: tuple[TokenIds, ...], before: Sequence[Rows]) -> Rows:
        rows = self._kept.get(segments)
        if rows is None:
            rows = self._load(segments) or self._compute(segments, before)
        self._remember(segments, rows)
        return rows

    def _load(self, segments: tuple[TokenIds, ...]) -> Rows | None:
        context = [content_id(ids) for ids in segments[:-1]]
        if not self._store.contains(segments[-1], context):
            return None
        entry = self._store.lookup(segments[-1], context).entry
        if entry is None:
            return None
        if entry.is_exact:  # what is kept behind these rows has to be exact
            return Rows(entry.keys, entry.values)
        if self._frame.is_fixed(segments):  # else it would stand in the way of the exact one
            self._store.discard(segments[-1], context)
        return None

    def _compute(self, segments: tuple[TokenIds, ...], before: Sequence[Rows]) -> Rows:
        rows = next(iter(self._encoder.encode(before, [segments[-1]])))
        if self._frame.is_fixed(segments):
            context = [content_id(ids) for ids in segments[:-1]]
            key = self._store.key_of(segments[-1], context)
            _keep(
                self._store,
                ChunkKV(key, segments[-1], rows.keys, rows.values, coded=False),
                evict=True,
            )
            self._store.pin(key, pinned=True)
        return rows


def _keep(store: KVStore, entry: ChunkKV, *, evict: bool) -> str | None:
    """Store an entry; returns why it was not possible, or None."""
    try:
        store.put(entry, evict=evict)
    except TierFull:
        return "disk_budget"
    except TierUnavailable as error:
        logger.warning("chunk KV not stored: %s", error)
        return "disk_unavailable"
    except NotFinite as error:
        logger.warning("chunk KV not stored: %s", error)
        return "not_finite"
    return None


def _weaker(head: Precomputed, primed: Precomputed) -> Precomputed:
    """A chunk counts as stored when all its encodings are there."""
    return Precomputed(
        stored=max(head.stored, primed.stored) if primed.reason is None else primed.stored,
        already=min(head.already, primed.already),
        left=primed.left,
        num_tokens=max(head.num_tokens, primed.num_tokens),
        reason=primed.reason,
    )
