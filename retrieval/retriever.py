"""Read path: a question to chunks ranked by relevance, by words and by vectors.

Knows no documents, no database and nothing of who is believed: whoever asks reorders what is here.
"""

import asyncio
from collections.abc import Iterable

from retrieval.config import RankingConfig
from retrieval.dense import DenseIndexes
from retrieval.fusion import reciprocal_rank_fusion
from retrieval.protocols import Embedder, LexicalIndex, SourceWeights
from retrieval.types import Query, ScoredChunk
from retrieval.words import content_words

Hits = list[tuple[int, float]]


class Retriever:
    def __init__(
        self,
        lexical: LexicalIndex,
        dense: DenseIndexes,
        embedder: Embedder,
        weights: SourceWeights,
        config: RankingConfig | None = None,
    ) -> None:
        self._lexical = lexical
        self._dense = dense
        self._embedder = embedder
        self._weights = weights
        self._config = config or RankingConfig()

    async def search(self, query: Query) -> list[ScoredChunk]:
        """At most `query.limit` chunks, best first; none where nothing matches the question."""
        config = self._config
        depth = max(config.min_candidates, config.candidates_per_result * query.limit)
        by_words, by_vectors = await asyncio.gather(
            self._search_words(query, depth),
            asyncio.to_thread(self._search_vectors, query, depth),
        )
        candidates = self._fuse(by_words, by_vectors)
        # without a source a chunk was deleted in the meantime
        weights = await self._weights.weights([found.chunk_id for found in candidates])
        return _ranked(found for found in candidates if found.chunk_id in weights)[: query.limit]

    async def _search_words(self, query: Query, depth: int) -> Hits:
        """Hits on content words. "What is the" is in every passage and says nothing about one."""
        words = " ".join(content_words(query.text))
        return await self._lexical.search(words, query.collection_id, depth) if words else []

    def _search_vectors(self, query: Query, depth: int) -> Hits:
        vector = self._embedder.encode([query.text])[0]
        return self._dense.search(query.collection_id, vector, depth)

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
