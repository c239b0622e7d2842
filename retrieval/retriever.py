"""Read path: a question to chunks ranked by relevance, by words and by vectors.

Knows no documents, no database and nothing of who is believed: whoever asks reorders what is here.
"""

import asyncio
from collections.abc import Iterable

from retrieval.config import RankingConfig
from retrieval.fusion import reciprocal_rank_fusion
from retrieval.protocols import (
    Embedder,
    Ids,
    LexicalIndex,
    Selection,
    SourceWeights,
    VectorSearch,
)
from retrieval.types import Query, ScoredChunk
from retrieval.words import content_words

Hits = list[tuple[int, float]]


class Retriever:
    def __init__(
        self,
        lexical: LexicalIndex,
        dense: VectorSearch,
        embedder: Embedder,
        weights: SourceWeights,
        config: RankingConfig | None = None,
        selection: Selection | None = None,
    ) -> None:
        self._lexical = lexical
        self._dense = dense
        self._embedder = embedder
        self._weights = weights
        self._config = config or RankingConfig()
        self._selection = selection

    async def search(self, query: Query) -> list[ScoredChunk]:
        """At most `query.limit` chunks, best first; none where nothing matches the question."""
        config = self._config
        depth = max(config.min_candidates, config.candidates_per_result * query.limit)
        allowed = await self._allowed(query)
        if allowed is not None and not len(allowed):
            return []
        by_words, by_vectors = await asyncio.gather(
            self._search_words(query, depth),
            asyncio.to_thread(self._search_vectors, query, depth, allowed),
        )
        if allowed is not None:  # both searches kept to it; rights are not left to that
            readable = set(allowed.tolist())
            by_words = [hit for hit in by_words if hit[0] in readable]
            by_vectors = [hit for hit in by_vectors if hit[0] in readable]
        candidates = self._fuse(by_words, by_vectors)
        # without a source a chunk was deleted in the meantime
        weights = await self._weights.weights([found.chunk_id for found in candidates])
        return _ranked(found for found in candidates if found.chunk_id in weights)[: query.limit]

    async def _allowed(self, query: Query) -> Ids | None:
        """Ids that pass the query's filter; None where it has none."""
        if query.filter.is_empty:
            return None
        if self._selection is None:
            raise ValueError("a filter was given to a retriever that was made without a selection")
        return await self._selection.chunk_ids(query.collection_id, query.filter)

    async def _search_words(self, query: Query, depth: int) -> Hits:
        """Hits on content words. "What is the" is in every passage and says nothing about one."""
        words = " ".join(content_words(query.text))
        if not words:
            return []
        return await self._lexical.search(words, query.collection_id, depth, query.filter)

    def _search_vectors(self, query: Query, depth: int, allowed: Ids | None) -> Hits:
        vector = self._embedder.encode([query.text])[0]
        return self._dense.search(query.collection_id, vector, depth, allowed)

    def _fuse(self, by_words: Hits, by_vectors: Hits) -> list[ScoredChunk]:
        """All that either search found, without what vectors alone put too far away."""
        lexical_ranks = _ranks(by_words)
        dense_ranks = _ranks(by_vectors)
        similarities = dict(by_vectors)
        fused = reciprocal_rank_fusion([list(lexical_ranks), list(dense_ranks)])
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


def _ranked(found: Iterable[ScoredChunk]) -> list[ScoredChunk]:
    return sorted(found, key=lambda chunk: (-chunk.score, chunk.chunk_id))


def _ranks(hits: Hits) -> dict[int, int]:
    """Chunk id to rank, in rank order; ranks start at 1."""
    return {chunk_id: rank for rank, (chunk_id, _) in enumerate(hits, start=1)}
