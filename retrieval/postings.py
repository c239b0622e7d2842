"""Which passages hold which words, in memory, and what BM25 makes of a question: plain numpy.

A copy of a full-text index that scores every match in a few milliseconds. Values never change:
adding and removing give a new one, so searches need no lock. Knows no tokenizer and no database.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.protocols import Ids

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]
Counts = NDArray[np.unsignedinteger]
Flags = NDArray[np.bool_]

# FTS5's constants, and its floor for a word that is in half of the passages or more.
K1, B, MIN_IDF = 1.2, 0.75, 1e-6

LABEL_WEIGHT = 2  # how often a word of the label counts (app/db/lexical.py has the reason)
MIN_DEAD, MAX_DEAD = 1_000, 0.25  # rows of passages that are gone; above both they are left out


@dataclass(frozen=True, slots=True)
class PassageWords:
    """A passage as words in order, both parts cut by the full-text index's own tokenizer."""

    chunk_id: int
    document_id: int
    collection_id: int
    label: Sequence[str]
    text: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """Postings of some passages, by word and then by row."""

    terms: Int32Array  # [u] rising numbers of words
    starts: NDArray[np.int64]  # [u + 1] where the postings of each begin
    rows: Int32Array  # [p]
    counts: Counts  # [p] occurrences, those in the label counted twice

    def of(self, term: int) -> slice:
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    @property
    def num_bytes(self) -> int:
        return self.terms.nbytes + self.starts.nbytes + self.rows.nbytes + self.counts.nbytes

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Matches:
    """Passages of a collection that hold a word of the question."""

    ids: Ids
    documents: Ids
    scores: Float64Array

    def best(self, count: int) -> "Matches":
        """The first `count`: by score, then by id."""
        scores = self.scores
        chosen = np.arange(len(scores))
        if count < len(scores):
            least = np.partition(scores, len(scores) - count)[len(scores) - count]
            chosen = np.flatnonzero(scores >= least)
        order = chosen[np.argsort(-scores[chosen], kind="stable")[:count]]
        return Matches(self.ids[order], self.documents[order], scores[order])

    def after(self, count: int) -> "Matches":
        """Without the first `count`, in the same order."""
        return Matches(self.ids[count:], self.documents[count:], self.scores[count:])

    def of_documents(self, documents: Ids) -> "Matches":
        """Those in these documents, in the same order."""
        kept = np.isin(self.documents, documents)
        return Matches(self.ids[kept], self.documents[kept], self.scores[kept])

    def hits(self) -> list[tuple[int, float]]:
        """(chunk id, score), in the same order."""
        return list(zip(self.ids.tolist(), self.scores.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Postings:
    """Rows are passages by rising id; a removed one stays, not alive, until there are many."""

    vocabulary: dict[str, int]  # word to number; shared by all values that came from one another
    runs: tuple[Run, ...]
    ids: Ids
    documents: Ids
    collections: Ids
    sizes: Int32Array  # words of label and text
    alive: Flags

    @classmethod
    def empty(cls) -> "Postings":
        none = np.empty(0, np.int64)
        return cls({}, (), none, none, none, np.empty(0, np.int32), np.empty(0, np.bool_))

    @property
    def num_passages(self) -> int:
        return int(np.count_nonzero(self.alive))

    @property
    def num_words(self) -> int:
        """Of all passages together."""
        return int(self.sizes[self.alive].sum(dtype=np.int64))

    @property
    def last_id(self) -> int:
        return int(self.ids[-1]) if len(self.ids) else 0

    @property
    def num_bytes(self) -> int:
        """Of the arrays; the vocabulary takes some 100 bytes a word beside them."""
        size = self.ids.nbytes + self.documents.nbytes + self.collections.nbytes
        size += self.sizes.nbytes + self.alive.nbytes
        return size + sum(run.num_bytes for run in self.runs)

    def with_passages(self, passages: Sequence[PassageWords]) -> "Postings":
        """Ids must rise, from above all that are here."""
        if not passages:
            return self
        ids = np.array([passage.chunk_id for passage in passages], np.int64)
        if ids[0] <= self.last_id or np.any(np.diff(ids) <= 0):
            raise ValueError(f"passages must come by rising id, from above {self.last_id}")
        documents = np.array([passage.document_id for passage in passages], np.int64)
        collections = np.array([passage.collection_id for passage in passages], np.int64)
        sizes = np.array([len(p.label) + len(p.text) for p in passages], np.int32)
        run = _run_of(self.vocabulary, passages, sizes, len(self.ids))
        return replace(
            self,
            runs=_settled((*self.runs, run)),
            ids=np.concatenate([self.ids, ids]),
            documents=np.concatenate([self.documents, documents]),
            collections=np.concatenate([self.collections, collections]),
            sizes=np.concatenate([self.sizes, sizes]),
            alive=np.concatenate([self.alive, np.ones(len(ids), np.bool_)]),
        )

    def only(self, chunk_ids: Ids) -> "Postings":
        """Without all that are not among these ids."""
        alive = self.alive & np.isin(self.ids, chunk_ids)
        num_dead = len(alive) - int(np.count_nonzero(alive))
        left = replace(self, alive=alive)
        return left._compact() if num_dead > max(MIN_DEAD, MAX_DEAD * len(alive)) else left

    def matches(
        self, words: Sequence[str], collection_id: int, allowed: Ids | None = None
    ) -> Matches:
        """BM25 as FTS5 computes it, number for number: rarity over all collections, each word for
        itself and in the given order. Of `allowed` chunk ids only, where they are given."""
        total, has_dead = self.num_passages, not self.alive.all()
        scores = np.zeros(len(self.ids))
        # As FTS5 writes it down, so that rounding is the same.
        lengths = K1 * (1 - B + B * self.sizes / (self.num_words / total)) if total else scores
        for word in words:
            rows, counts = self._postings(word, has_dead)
            if not len(rows):
                continue
            rarity = math.log((total - len(rows) + 0.5) / (len(rows) + 0.5))
            shares = counts * (K1 + 1.0) / (counts + lengths[rows])
            scores[rows] += (rarity if rarity > 0 else MIN_IDF) * shares
        found = np.flatnonzero(scores > 0)
        found = found[self.collections[found] == collection_id]
        if allowed is not None:
            found = found[np.isin(self.ids[found], allowed)]
        return Matches(self.ids[found], self.documents[found], scores[found])

    def ids_of(self, documents: Ids) -> Ids:
        """Chunk ids, rising, of all passages of these documents."""
        kept: Ids = self.ids[self.alive & np.isin(self.documents, documents)]
        return kept

    def _postings(self, word: str, has_dead: bool) -> tuple[Int32Array, Float64Array]:
        """Rows that hold the word and are alive, and how often."""
        term = self.vocabulary.get(word, -1)
        parts = [(run.rows[at], run.counts[at]) for run in self.runs if (at := run.of(term))]
        if not parts:
            return np.empty(0, np.int32), np.empty(0)
        rows = np.concatenate([part for part, _ in parts])
        counts = np.concatenate([part.astype(np.float64) for _, part in parts])
        if has_dead:
            kept = self.alive[rows]
            rows, counts = rows[kept], counts[kept]
        return rows, counts

    def _compact(self) -> "Postings":
        """The same without dead rows, renumbered."""
        places = (np.cumsum(self.alive) - 1).astype(np.int32)
        runs = []
        for run in self.runs:
            terms, kept = _spread(run), self.alive[run.rows]
            runs.append(_packed(terms[kept], places[run.rows[kept]], run.counts[kept]))
        return replace(
            self,
            runs=_settled(tuple(runs)),
            ids=self.ids[self.alive],
            documents=self.documents[self.alive],
            collections=self.collections[self.alive],
            sizes=self.sizes[self.alive],
            alive=np.ones(self.num_passages, np.bool_),
        )


def _run_of(
    vocabulary: dict[str, int], passages: Sequence[PassageWords], sizes: Int32Array, first: int
) -> Run:
    """Postings of new passages, whose rows count on from `first`; new words get new numbers."""
    terms = np.fromiter(
        (
            vocabulary.setdefault(word, len(vocabulary))
            for passage in passages
            for part in (passage.label, passage.text)
            for word in part
        ),
        np.int64,
        int(sizes.sum(dtype=np.int64)),
    )
    parts = np.array([(len(p.label), len(p.text)) for p in passages], np.int64)
    weights = np.repeat(np.tile([LABEL_WEIGHT, 1], len(passages)), parts.ravel())
    keys = terms * len(passages) + np.repeat(np.arange(len(passages)), sizes)
    pairs, where = np.unique(keys, return_inverse=True)
    counts = np.bincount(where, weights, len(pairs)).astype(np.int64)
    rows = (pairs % len(passages) + first).astype(np.int32)
    return _packed((pairs // len(passages)).astype(np.int32), rows, counts)


def _settled(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Merged until each is at least twice as long as the next: few runs, each posting moved a few
    times."""
    while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
        old, new = runs[-2:]
        terms = np.concatenate([_spread(old), _spread(new)])
        order = np.argsort(terms, kind="stable")  # rows of the older one come first and are lower
        rows = np.concatenate([old.rows, new.rows])[order]
        counts = np.concatenate([old.counts, new.counts])[order]
        runs = (*runs[:-2], _packed(terms[order], rows, counts))
    return runs


def _spread(run: Run) -> Int32Array:
    """The word of every posting, [p]."""
    return np.repeat(run.terms, np.diff(run.starts))


def _packed(terms: Int32Array, rows: Int32Array, counts: NDArray[np.integer]) -> Run:
    """Postings sorted by word; counts in as few bytes as the greatest asks for, mostly one."""
    first = np.flatnonzero(np.diff(terms, prepend=-1))
    starts = np.append(first, len(terms)).astype(np.int64)
    most = int(counts.max()) if len(counts) else 0
    return Run(terms[first], starts, rows, counts.astype(np.min_scalar_type(most)))
