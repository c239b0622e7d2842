"""The searches that are compared, over one set: ours as the server builds it, and two plain ones.

Each answers a question with places in the set's passages, best first.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.bootstrap import open_storage
from app.errors import InvalidValue
from app.evaluation.decoder_reranking import PlaceReranker
from app.evaluation.retrieval_sets import RetrievalSet
from app.ingest.searching import load_cross_encoder
from app.settings import Settings
from retrieval.config import RankingConfig
from retrieval.dense import FlatDenseIndex
from retrieval.dense_indexes import DenseIndexes
from retrieval.protocols import Embedder, Float32Array, LexicalIndex, Reranker, SourceWeights
from retrieval.retriever import Near, Retriever
from retrieval.types import Chunk, Document, Query
from retrieval.words import content_words

DEPTH = 20  # what recall is measured at
SYSTEMS = (
    "words",
    "vectors",
    "hybrid",
    "hybrid_reranked",
    "hybrid_decoder",
    "bm25s",
    "minilm_faiss",
)

Search = Callable[[str], Awaitable[list[int]]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Places to scores, and how far the question's cosines lie apart."""

    by_words: Mapping[int, float]
    by_vectors: Mapping[int, float]
    spread: float
    zero: float


class SearchSystems:
    """Made by `open_systems`. `passages` of the set are chunks 1 to n of collection 1."""

    def __init__(
        self,
        judged: RetrievalSet,
        embedder: Embedder,
        vectors: Float32Array,
        words: LexicalIndex,
        weights: SourceWeights,
        collection_id: int,
        chunk_ids: Sequence[int],
        reranker: Reranker | None = None,
        decoder: Reranker | None = None,
    ) -> None:
        self._embedder = embedder
        self._words = words
        self._weights = weights
        self._reranker = reranker
        self._decoder = decoder  # of places in the set
        self._collection_id = collection_id
        self._place_of = {chunk_id: place for place, chunk_id in enumerate(chunk_ids)}
        self._indexes = DenseIndexes(embedder.dimension)
        self._indexes.add(collection_id, chunk_ids, vectors)
        self._plain = FlatDenseIndex(embedder.dimension)
        self._plain.add(range(len(vectors)), vectors)
        self._texts = [passage.indexed for passage in judged.passages]

    def search(self, system: str) -> Search:
        """Raises InvalidValue for an unknown name, or where its package is missing."""
        makers: dict[str, Callable[[], Search]] = {
            "words": lambda: self._words_only,
            "vectors": lambda: self._vectors,
            "hybrid": lambda: self.ours(RankingConfig()),
            "hybrid_reranked": self._second_look,
            "hybrid_decoder": self._decoder_look,
            "bm25s": lambda: bm25s_search(self._texts),
            "minilm_faiss": lambda: self._minilm_faiss,
        }
        if system not in makers:
            raise InvalidValue(f"unknown system {system!r}; known: {', '.join(SYSTEMS)}")
        return makers[system]()

    def _second_look(self) -> Search:
        if self._reranker is None:
            raise InvalidValue(
                "hybrid_reranked needs a cross-encoder: set LARDER_RERANKER to its folder"
            )
        return self.ours(RankingConfig(), self._reranker)

    def _decoder_look(self) -> Search:
        if self._decoder is None:
            raise InvalidValue("hybrid_decoder needs the decoder to be loaded for it")
        return self.ours(RankingConfig(), PlaceReranker(self._decoder, self._place_of))

    def ours(self, config: RankingConfig, reranker: Reranker | None = None) -> Search:
        retriever = Retriever(
            self._words, self._indexes, self._embedder, self._weights, config, reranker
        )

        async def search(question: str) -> list[int]:
            hits = await retriever.search(Query(question, self._collection_id, DEPTH))
            return [self._place_of[hit.chunk_id] for hit in hits]

        return search

    async def evidence(self, question: str) -> "Evidence":
        """What both searches find, before it is joined; so deep as for a hybrid search."""
        config = RankingConfig()
        depth = max(config.min_candidates, config.candidates_per_result * DEPTH)
        vector = self._embedder.encode([question])[0]
        by_vectors = self._indexes.search(self._collection_id, vector, depth)
        return Evidence(
            {self._place_of[found]: score for found, score in await self._found(question, depth)},
            {self._place_of[found]: score for found, score in by_vectors},
            self._indexes.spread(self._collection_id, vector),
            Near(by_vectors, 1.0, depth).zero,
        )

    async def _found(self, question: str, depth: int) -> list[tuple[int, float]]:
        words = " ".join(content_words(question))
        return await self._words.search(words, self._collection_id, depth) if words else []

    async def _words_only(self, question: str) -> list[int]:
        return [self._place_of[chunk_id] for chunk_id, _ in await self._found(question, DEPTH)]

    async def _vectors(self, question: str) -> list[int]:
        vector = self._embedder.encode([question])[0]
        hits = self._indexes.search(self._collection_id, vector, DEPTH)
        return [self._place_of[chunk_id] for chunk_id, _ in hits]

    async def _minilm_faiss(self, question: str) -> list[int]:
        """The usual few lines: embed, normalise, exact inner products."""
        vector = self._embedder.encode([question])[0]
        return [place for place, _ in self._plain.search(vector, DEPTH)]


def bm25s_search(texts: Sequence[str]) -> Search:
    """bm25s as its own documentation uses it: English stop words, no stemmer."""
    try:
        import bm25s
    except ImportError as error:
        raise InvalidValue(
            "the system bm25s needs a package that is not installed; "
            "run `pip install bm25s`, or leave it out with --systems"
        ) from error

    def tokens(lines: list[str]) -> object:
        return bm25s.tokenize(lines, stopwords="en", show_progress=False)

    index = bm25s.BM25()
    index.index(tokens(list(texts)), show_progress=False)
    depth = min(DEPTH, len(texts))

    async def search(question: str) -> list[int]:
        found, _ = index.retrieve(tokens([question]), k=depth, show_progress=False)
        return [int(place) for place in found[0]]

    return search


@asynccontextmanager
async def open_systems(
    settings: Settings,
    judged: RetrievalSet,
    embedder: Embedder,
    vectors: Float32Array,
    decoder: Reranker | None = None,
) -> AsyncIterator[SearchSystems]:
    """A database of its own in a temporary folder, filled with the set; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="larder-eval-") as folder:
        own = settings.model_copy(update={"data_dir": Path(folder), "database_url": None})
        async with open_storage(own) as storage:
            collection = await storage.collections.create("evaluation")
            source = await storage.sources.get_or_create("evaluation")
            row, _ = await storage.documents.add(collection.id, source.id, "set", b"set", None)
            chunks = [
                Chunk(place, 0, len(passage.text), passage.label, passage.text, ())
                for place, passage in enumerate(judged.passages)
            ]
            document = Document(judged.name, "", "text/plain", ())
            await storage.documents.save_parsed(row.id, document, chunks)
            chunk_ids = [chunk_id for chunk_id, _ in await storage.chunks.unembedded(row.id)]
            yield SearchSystems(
                judged,
                embedder,
                vectors,
                storage.words,
                storage.sources,
                collection.id,
                chunk_ids,
                load_cross_encoder(settings, storage.chunks),
                decoder,
            )
