"""What happens after the two searches: reranking, unlikeness, the edge of the list."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.config import RankingConfig
from retrieval.cross_encoder import CrossEncoderReranker
from retrieval.dense_indexes import DenseIndexes
from retrieval.diversity import cut_at_edge, most_different
from retrieval.errors import RerankerMissing
from retrieval.protocols import Float32Array, Ids
from retrieval.retriever import Retriever
from retrieval.types import NO_FILTER, Filter, Query
from tests.support.cross_encoder import save_cross_encoder

pytestmark = pytest.mark.anyio


def unit(*degrees: float) -> Float32Array:
    radians = np.deg2rad(np.array(degrees, np.float32))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


class AngleEmbedder:
    """A text is its angle in degrees."""

    identity = "angle"
    dimension = 2

    def encode(self, texts: Sequence[str]) -> Float32Array:
        return unit(*(float(text) for text in texts))


class NoWords:
    async def search(
        self,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter = NO_FILTER,
        allowed: Ids | None = None,
    ) -> list[tuple[int, float]]:
        return []


class Neutral:
    async def weights(self, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        return dict.fromkeys(chunk_ids, 0.5)


class Listed:
    """Scores by chunk; what is not listed is gone."""

    def __init__(self, scores: Mapping[int, float]) -> None:
        self._scores = scores
        self.asked: list[list[int]] = []

    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        self.asked.append(list(chunk_ids))
        return {found: self._scores[found] for found in chunk_ids if found in self._scores}


def make(
    angles: Mapping[int, float], config: RankingConfig, reranker: Listed | None = None
) -> Retriever:
    indexes = DenseIndexes(2)
    indexes.add(1, list(angles), unit(*angles.values()))
    return Retriever(NoWords(), indexes, AngleEmbedder(), Neutral(), config, reranker)


async def found(retriever: Retriever, limit: int = 8) -> list[int]:
    return [hit.chunk_id for hit in await retriever.search(Query("0", 1, limit))]


async def test_a_reranker_has_the_last_word_on_the_first_candidates() -> None:
    reranker = Listed({1: 0.2, 2: 0.9, 4: 0.99})
    config = RankingConfig(rerank_depth=3)
    angles = {1: 0, 2: 10, 3: 20, 4: 30}
    assert await found(make(angles, config, reranker)) == [2, 1]
    assert reranker.asked == [[1, 2, 3]]


async def test_what_repeats_the_first_passage_comes_later() -> None:
    angles = {1: 5, 2: 6, 3: 7, 4: -25}
    assert await found(make(angles, RankingConfig())) == [1, 2, 3, 4]
    assert await found(make(angles, RankingConfig(relevance_weight=0.5))) == [1, 4, 2, 3]
    assert await found(make(angles, RankingConfig(relevance_weight=0.5)), limit=2) == [1, 4]
    hits = await make(angles, RankingConfig(relevance_weight=0.5)).search(Query("0", 1, 8))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)  # a stable sort by score keeps the order


class FirstAndLast(NoWords):
    """A word of the question is in the first passage and, in passing, in the last one."""

    async def search(self, *_: object) -> list[tuple[int, float]]:
        return [(1, 5.0), (9, 0.1)]


async def test_a_word_in_common_is_not_enough_at_the_end_of_a_list() -> None:
    falling = enumerate((1.0, 0.87, 0.74, 0.61, 0.48, 0.35, 0.22), start=1)  # no edge anywhere
    angles = {number: float(np.degrees(np.arccos(cosine))) for number, cosine in falling}
    angles[9] = float(np.degrees(np.arccos(0.1)))

    def search(config: RankingConfig) -> Retriever:
        made = make(angles, config)
        made._lexical = FirstAndLast()
        return made

    assert await found(search(RankingConfig()), 9) == [1, 2, 3, 4, 5, 6, 7, 9]
    assert await found(search(RankingConfig(cuts_list=True)), 9) == [1, 2, 3, 4, 5, 6, 7]


async def test_the_list_ends_at_the_edge() -> None:
    angles = {1: 0, 2: 2, 3: 4, 4: 60, 5: 62}
    assert await found(make(angles, RankingConfig(cuts_list=True))) == [1, 2, 3]
    assert len(await found(make(angles, RankingConfig(cuts_list=True, min_results=4)))) >= 4


@pytest.mark.parametrize(
    ("scores", "least", "kept"),
    [
        ([], 2, 0),
        ([1.0], 2, 1),
        ([1.0, 0.1], 2, 2),
        ([1.0, 0.9, 0.2, 0.1], 2, 2),
        ([1.0, 0.2, 0.19, 0.01], 2, 3),
        ([1.0, 0.2, 0.19, 0.18], 1, 1),
        ([1.0, 0.95, 0.9, 0.85], 2, 4),
        ([0.0, 0.0, 0.0], 1, 3),
    ],
)
def test_edges(scores: list[float], least: int, kept: int) -> None:
    assert cut_at_edge(scores, least) == kept


@given(
    st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=1, max_size=12),
    st.floats(0, 1).filter(lambda weight: weight == 0 or weight > 1e-6),
    st.integers(1, 12),
)
def test_marginal_relevance_is_a_choice_without_repetition(
    relevance: list[float], weight: float, limit: int
) -> None:
    vectors = unit(*(37.0 * place for place in range(len(relevance))))
    chosen = most_different(relevance, vectors, weight, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(relevance))
    assert relevance[chosen[0]] == max(relevance) or weight == 0


@pytest.mark.parametrize(
    "values", [{"rerank_depth": 0}, {"min_results": 0}, {"relevance_weight": 2}]
)
def test_config_is_checked(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"candidate|weight"):
        RankingConfig(**values)


class Texts:
    async def texts(self, chunk_ids: Sequence[int]) -> Mapping[int, str]:
        return {found: f"passage {found}" for found in chunk_ids if found != 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("cross"), num_labels=1)


async def test_a_cross_encoder_reads_pairs(folder: Path) -> None:
    reranker = CrossEncoderReranker(folder, Texts())
    scores = await reranker.scores("which?", [1, 2, 3])
    assert scores.keys() == {1, 2}
    assert all(0 < score < 1 for score in scores.values())
    assert await reranker.scores("which?", [3]) == {}
    assert (await reranker.scores("which?", [2]))[2] == pytest.approx(scores[2], abs=1e-5)


def test_a_missing_cross_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RerankerMissing, match="LARDER_RERANKER"):
        CrossEncoderReranker(tmp_path, Texts())
