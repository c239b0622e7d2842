"""Read path: a question to chunks ranked by relevance, by words and by vectors.

Knows no documents, no database and nothing of who is believed: whoever asks reorders what is here.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from retrieval.config import RankingConfig
from retrieval.cores import use_one_core
from retrieval.diversity import cut_at_edge, most_different
from retrieval.fusion import convex_combination, reciprocal_rank_fusion
from retrieval.protocols import (
    Embedder,
    Float32Array,
    Ids,
    LexicalIndex,
    Reranker,
    Selection,
    SourceWeights,
    VectorSearch,
)
from retrieval.types import Query, ScoredChunk
from retrieval.words import content_words

Hits = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Near:
    """What the search by vectors found, and how far cosines with this question lie apart."""

    hits: Hits
    spread: float
    depth: int  # how many were asked for

    @property
    def zero(self) -> float:
        """The cosine from which relevance counts: that of the last of a full list."""
        return max(self.hits[-1][1], 0.0) if len(self.hits) >= self.depth else 0.0


class Retriever:
    def __init__(
        self,
        lexical: LexicalIndex,
        dense: VectorSearch,
        embedder: Embedder,
        weights: SourceWeights,
        config: RankingConfig | None = None,
        reranker: Reranker | None = None,
        selection: Selection | None = None,
    ) -> None:
        self._lexical = lexical
        self._dense = dense
        self._embedder = embedder
        self._weights = weights
        self._config = config or RankingConfig()
        self._reranker = reranker
        self._selection = selection
        # One thread for model and vectors, and one core for it: the search by words has the other.
        # Beside a model that takes both cores words take 5.1 ms and a search 15.7 (medians of 100).
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="search", initializer=use_one_core)

    async def search(self, query: Query) -> list[ScoredChunk]:
        """At most `query.limit` chunks, best first; none where nothing matches the question."""
        config = self._config
        depth = max(config.min_candidates, config.candidates_per_result * query.limit)
        loop = asyncio.get_running_loop()
        vector = loop.run_in_executor(self._compute, self._embedded, query.text)
        allowed = await self._allowed(query)
        if allowed is not None and not len(allowed):
            vector.cancel()
            return []
        by_words, near = await asyncio.gather(
            self._search_words(query, depth, allowed),
            self._search_vectors(query, vector, depth, allowed),
        )
        if allowed is not None:  # both searches kept to it; rights are not left to that
            by_words = _among(by_words, allowed)
            near = replace(near, hits=_among(near.hits, allowed))
        candidates = self._fuse(by_words, near)
        # without a weight a chunk was deleted in the meantime, or its source is set aside
        weights = await self._weights.weights([found.chunk_id for found in candidates])
        known = [found for found in candidates if found.chunk_id in weights]
        ranked = sorted(await self._reranked(query.text, known), key=_order)
        return self._cut(self._diverse(query, ranked)[: query.limit])

    async def _reranked(
        self, question: str, candidates: Sequence[ScoredChunk]
    ) -> Sequence[ScoredChunk]:
        """The first candidates with the reranker's scores instead; without one, all as they are."""
        if self._reranker is None:
            return candidates
        first = sorted(candidates, key=_order)[: self._config.rerank_depth]
        scores = await self._reranker.scores(question, [found.chunk_id for found in first])
        return [
            replace(found, score=scores[found.chunk_id])
            for found in first
            if found.chunk_id in scores
        ]

    def _diverse(self, query: Query, ranked: list[ScoredChunk]) -> list[ScoredChunk]:
        """By relevance and unlikeness; chunks without a vector count as unlike all others.

        A score that is higher than the one before comes down to it, so that whoever sorts by score
        keeps this order.
        """
        weight = self._config.relevance_weight
        if weight == 1 or len(ranked) < 2:
            return ranked
        ids = [found.chunk_id for found in ranked]
        known = self._dense.vectors(query.collection_id, ids)
        rows = np.zeros((len(ids), self._embedder.dimension), np.float32)
        for place, chunk_id in enumerate(ids):
            if chunk_id in known:
                rows[place] = known[chunk_id]
        scores = [found.score for found in ranked]
        chosen = [ranked[place] for place in most_different(scores, rows, weight, query.limit)]
        falling = accumulate((found.score for found in chosen), min)
        return [replace(found, score=score) for found, score in zip(chosen, falling, strict=True)]

    def _cut(self, ranked: list[ScoredChunk]) -> list[ScoredChunk]:
        """Up to where relevance drops, and without what is no match by meaning at its end: a word
        in common is not enough there."""
        config = self._config
        if not config.cuts_list:
            return ranked
        kept = ranked[: cut_at_edge([found.score for found in ranked], config.min_results)]
        while len(kept) > config.min_results and _is_far(kept[-1], config.min_similarity):
            kept.pop()
        return kept

    async def _allowed(self, query: Query) -> Ids | None:
        """Ids that pass the query's filter; None where it has none."""
        if query.filter.is_empty:
            return None
        if self._selection is None:
            raise ValueError("a filter was given to a retriever that was made without a selection")
        return await self._selection.chunk_ids(query.collection_id, query.filter)

    async def _search_words(self, query: Query, depth: int, allowed: Ids | None) -> Hits:
        """Hits on content words. "What is the" is in every passage and says nothing about one."""
        words = " ".join(content_words(query.text))
        if not words:
            return []
        return await self._lexical.search(words, query.collection_id, depth, query.filter, allowed)

    def _embedded(self, text: str) -> Float32Array:
        """[dimension]."""
        vector: Float32Array = self._embedder.encode([text])[0]
        return vector

    async def _search_vectors(
        self, query: Query, vector: asyncio.Future[Float32Array], depth: int, allowed: Ids | None
    ) -> Near:
        embedded = await vector
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._compute, self._nearest, query.collection_id, embedded, depth, allowed
        )

    def _nearest(
        self, collection_id: int, vector: Float32Array, depth: int, allowed: Ids | None
    ) -> Near:
        hits = self._dense.search(collection_id, vector, depth, allowed)
        return Near(hits, self._dense.spread(collection_id, vector), depth)

    def _fuse(self, by_words: Hits, near: Near) -> list[ScoredChunk]:
        """All that either search found, without what vectors alone put too far away."""
        lexical_ranks = _ranks(by_words)
        dense_ranks = _ranks(near.hits)
        similarities = dict(near.hits)
        if self._config.fusion == "ranks":
            fused = reciprocal_rank_fusion([list(lexical_ranks), list(dense_ranks)])
        else:
            weight = self._config.dense_weight
            fused = convex_combination(dict(by_words), similarities, near.spread, weight, near.zero)
        return [
            ScoredChunk(
                chunk_id,
                score,
                lexical_ranks.get(chunk_id),
                dense_ranks.get(chunk_id),
                similarities.get(chunk_id),
            )
            for chunk_id, score in fused.items()
            if chunk_id in lexical_ranks or similarities[chunk_id] >= self._config.min_similarity
        ]


def _among(hits: Hits, allowed: Ids) -> Hits:
    kept = np.isin([chunk_id for chunk_id, _ in hits], allowed)
    return [hit for hit, is_kept in zip(hits, kept, strict=True) if is_kept]


def _is_far(found: ScoredChunk, floor: float) -> bool:
    return found.similarity is not None and found.similarity < floor


def _order(found: ScoredChunk) -> tuple[float, int]:
    return -found.score, found.chunk_id


def _ranks(hits: Hits) -> dict[int, int]:
    """Chunk id to rank, in rank order; ranks start at 1."""
    return {chunk_id: rank for rank, (chunk_id, _) in enumerate(hits, start=1)}
