"""Store both encodings of chunks: `head` behind P, `primed` behind P and the chunk's primers.

Costs three forwards a chunk where it has two neighbours: the nearer one has to be computed behind
the farther one, and those rows are needed for this only.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from kvstore.encode import Encoder, Rows, pack
from kvstore.errors import NotFinite, TierFull, TierUnavailable
from kvstore.frame import Frame, TokenIds
from kvstore.keys import content_id
from kvstore.store import KVStore
from kvstore.types import ChunkKV, Encoding, Segment

logger = logging.getLogger(__name__)

# Rows of contexts kept in memory during one run: P, neutral primers, and three chunks' neighbours;
# 12 MB each at 250 tokens of the bundled model.
NUM_KEPT = 8


@dataclass(frozen=True, slots=True)
class Precomputed:
    stored: int
    already: int
    left: int
    num_tokens: int
    reason: str | None


class Precomputer:
    """Writes to the store; one thread at a time."""

    def __init__(self, encoder: Encoder, store: KVStore, frame: Frame, pack_tokens: int) -> None:
        self._encoder = encoder
        self._store = store
        self._frame = frame
        self._pack_tokens = pack_tokens

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
            head = self._store_missing(batch, "head", contexts, evict)
            if head.reason is None:
                yield _weaker(head, self._store_missing(batch, "primed", contexts, evict))
            else:
                yield head

    def _store_missing(
        self, batch: Sequence[Segment], encoding: Encoding, contexts: "_Contexts", evict: bool
    ) -> Precomputed:
        missing = [chunk for chunk in batch if not self._is_stored(chunk, encoding)]
        stored = 0
        num_tokens = 0
        reason = None
        for chunk, before, rows in self._encode(missing, encoding, contexts):
            reason = _keep(self._store, chunk.token_ids, before, rows, evict=evict)
            if reason is not None:
                break
            stored += 1
            num_tokens += len(chunk.token_ids)
        already = len(batch) - len(missing)
        return Precomputed(stored, already, len(missing) - stored, num_tokens, reason)

    def _encode(
        self, chunks: Iterable[Segment], encoding: Encoding, contexts: "_Contexts"
    ) -> Iterator[tuple[Segment, tuple[TokenIds, ...], Rows]]:
        """Neighbours behind the same context share one forward."""
        groups = groupby(chunks, lambda chunk: self._frame.before(chunk, encoding))
        for before, group in groups:
            together = list(group)
            segments = [chunk.token_ids for chunk in together]
            encoded = self._encoder.encode(contexts.rows(before), segments)
            for chunk, rows in zip(together, encoded, strict=True):
                if encoding == "head":  # the next chunks' neighbour
                    contexts.remember((*before, chunk.token_ids), rows)
                yield chunk, before, rows

    def _is_stored(self, chunk: Segment, encoding: Encoding) -> bool:
        return self._store.contains(chunk.token_ids, self._frame.context(chunk, encoding))


class _Contexts:
    """Rows of what chunks are encoded behind: remembered, else from a lossless store, else
    computed."""

    def __init__(self, encoder: Encoder, store: KVStore, frame: Frame) -> None:
        self._encoder = encoder
        self._store = store
        self._frame = frame
        self._kept: OrderedDict[tuple[TokenIds, ...], Rows] = OrderedDict()

    def rows(self, segments: tuple[TokenIds, ...]) -> list[Rows]:
        """Rows of each segment behind those before it."""
        found: list[Rows] = []
        for end in range(1, len(segments) + 1):
            found.append(self._last_row(segments[:end], found))
        return found

    def remember(self, segments: tuple[TokenIds, ...], rows: Rows) -> None:
        """Keep the rows of the last of `segments`, for as long as few others were needed."""
        self._kept[segments] = rows
        self._kept.move_to_end(segments)
        while len(self._kept) > NUM_KEPT:
            self._kept.popitem(last=False)

    def _last_row(self, segments: tuple[TokenIds, ...], before: Sequence[Rows]) -> Rows:
        rows = self._kept.get(segments)
        if rows is None:
            rows = self._load(segments) or self._compute(segments, before)
        self.remember(segments, rows)
        return rows

    def _load(self, segments: tuple[TokenIds, ...]) -> Rows | None:
        if not self._store.lossless:
            return None  # what is kept behind these rows has to be exact
        context = [content_id(ids) for ids in segments[:-1]]
        if not self._store.contains(segments[-1], context):
            return None
        entry = self._store.lookup(segments[-1], context).entry
        return Rows(entry.keys, entry.values) if entry is not None else None

    def _compute(self, segments: tuple[TokenIds, ...], before: Sequence[Rows]) -> Rows:
        rows = next(iter(self._encoder.encode(before, [segments[-1]])))
        if self._frame.is_fixed(segments):
            _keep(self._store, segments[-1], segments[:-1], rows, evict=True)
            context = [content_id(ids) for ids in segments[:-1]]
            self._store.pin(self._store.key_of(segments[-1], context), pinned=True)
        return rows


def _keep(
    store: KVStore, ids: TokenIds, before: tuple[TokenIds, ...], rows: Rows, *, evict: bool
) -> str | None:
    """Store rows computed behind `before`; returns why it was not possible, or None."""
    key = store.key_of(ids, [content_id(segment) for segment in before])
    try:
        store.put(ChunkKV(key, ids, rows.keys, rows.values), evict=evict)
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
    """A chunk counts as stored when both encodings are there."""
    return Precomputed(
        stored=max(head.stored, primed.stored) if primed.reason is None else primed.stored,
        already=min(head.already, primed.already),
        left=primed.left,
        num_tokens=max(head.num_tokens, primed.num_tokens),
        reason=primed.reason,
    )
