"""Retriever over fakes of its protocols and a real dense index."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pytest

from retrieval.config import RankingConfig
from retrieval.dense_indexes import DenseIndexes
from retrieval.protocols import Float32Array, Ids
from retrieval.retriever import Retriever
from retrieval.types import NO_FILTER, Filter, Query

pytestmark = pytest.mark.anyio


class AngleEmbedder:
    """A text's last word is its angle in degrees; any other text stands at a right angle to 0."""

    identity = "angle"
    dimension = 2

    def encode(self, texts: Sequence[str]) -> Float32Array:
        last_words = [text.rsplit(" ", 1)[-1] for text in texts]
        angles = [float(word) if word.isdigit() else 90.0 for word in last_words]
        radians = np.deg2rad(np.array(angles, np.float32))
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


class ListedWords:
    """Answers with fixed hits and remembers what it was asked."""

    def __init__(self, hits: Sequence[int] = ()) -> None:
        self._hits = hits
        self.asked: list[tuple[str, int, int]] = []

    async def search(
        self,
        text: str,
        collection_id: int,
        limit: int,
        filter_: Filter = NO_FILTER,
        allowed: Ids | None = None,
    ) -> list[tuple[int, float]]:
        self.asked.append((text, collection_id, limit))
        return [(chunk_id, 1.0) for chunk_id in self._hits[:limit]]


class FixedWeights:
    def __init__(self, weights: Mapping[int, float]) -> None:
        self._weights = weights

    async def weights(self, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        return {found: self._weights[found] for found in chunk_ids if found in self._weights}


class FixedSelection:
    def __init__(self, chunk_ids: Sequence[int]) -> None:
        self._chunk_ids = chunk_ids
        self.asked: list[tuple[int, Filter]] = []

    async def chunk_ids(self, collection_id: int, filter_: Filter) -> Ids:
        self.asked.append((collection_id, filter_))
        return np.array(self._chunk_ids, np.int64)


def make(
    angles: Mapping[int, float],
    lexical: ListedWords,
    weights: Mapping[int, float] | None = None,
    config: RankingConfig | None = None,
    selection: FixedSelection | None = None,
) -> Retriever:
    embedder, indexes = AngleEmbedder(), DenseIndexes(2)
    if angles:
        indexes.add(1, list(angles), embedder.encode([f"x {angle}" for angle in angles.values()]))
    neutral = dict.fromkeys(range(200), 0.5)
    weighed = FixedWeights(weights or neutral)
    return Retriever(lexical, indexes, embedder, weighed, config, selection=selection)


async def found(retriever: Retriever, text: str = "harbour 0", limit: int = 8) -> list[int]:
    return [hit.chunk_id for hit in await retriever.search(Query(text, 1, limit))]


async def test_both_searches_are_fused_by_rank() -> None:
    by_rank = RankingConfig(fusion="ranks")
    retriever = make({1: 0, 2: 30, 3: 60}, ListedWords([2, 9]), config=by_rank)
    hits = await retriever.search(Query("harbour 0", 1))
    assert [hit.chunk_id for hit in hits] == [2, 1, 9, 3]
    best, first, word_only, _ = hits
    assert (best.lexical_rank, best.dense_rank) == (1, 2)
    assert best.score == pytest.approx(1 / 61 + 1 / 62)
    assert best.similarity == pytest.approx(np.cos(np.pi / 6), abs=1e-5)
    assert (first.lexical_rank, first.dense_rank) == (None, 1)
    assert (word_only.dense_rank, word_only.similarity) == (None, None)


async def test_both_searches_are_fused_by_score() -> None:
    angles = {1: 0, 2: 30, 3: 60}
    only_vectors = RankingConfig(dense_weight=1)
    assert await found(make(angles, ListedWords([3]), config=only_vectors)) == [1, 2, 3]
    only_words = RankingConfig(dense_weight=0)
    assert (await found(make(angles, ListedWords([3]), config=only_words)))[0] == 3
    hits = await make(angles, ListedWords([2, 9])).search(Query("harbour 0", 1))
    assert [hit.chunk_id for hit in hits] == [2, 1, 3, 9]
    assert all(hit.score > 0 for hit in hits)


async def test_no_match_is_an_empty_list() -> None:
    assert await found(make({1: 90, 2: 85}, ListedWords())) == []
    assert await found(make({}, ListedWords())) == []


async def test_far_vectors_are_left_out_but_word_hits_stay() -> None:
    assert await found(make({1: 0, 2: 85, 3: 89}, ListedWords([3]))) == [1, 3]


async def test_function_words_alone_are_not_searched() -> None:
    lexical = ListedWords([7])
    retriever = make({1: 0}, lexical)
    assert await found(retriever, "What is it about?") == []
    assert lexical.asked == []
    assert await found(retriever, "What is the harbour about?") == [7]
    assert lexical.asked == [("harbour", 1, 40)]


async def test_limit_and_depth() -> None:
    lexical = ListedWords(range(100))
    assert await found(make({}, lexical), limit=12) == list(range(12))
    assert lexical.asked[0][2] == 48


async def test_reliability_plays_no_part_in_relevance() -> None:
    weights = {1: 0.1, 2: 0.9, 3: 0.5}
    assert await found(make({1: 0, 2: 10, 3: 20}, ListedWords(), weights)) == [1, 2, 3]


async def test_deleted_chunks_are_left_out() -> None:
    assert await found(make({1: 0, 2: 10}, ListedWords(), {2: 0.5})) == [2]


async def test_a_filter_reaches_far_beyond_the_nearest() -> None:
    """Pushed into the search: what passes is found although hundreds of others are nearer."""
    selection = FixedSelection([450, 470])
    angles = {chunk_id: chunk_id // 10 for chunk_id in range(500)}
    weights = dict.fromkeys(range(500), 0.5)
    retriever = make(angles, ListedWords(), weights, selection=selection)
    asked = Filter(tags=frozenset({"x"}))
    hits = await retriever.search(Query("harbour 0", 1, 5, asked))
    assert [hit.chunk_id for hit in hits] == [450, 470]
    assert selection.asked == [(1, asked)]
    assert len(await found(retriever, limit=5)) == 5
    assert len(selection.asked) == 1  # nothing is asked without a filter


async def test_what_may_not_be_read_is_in_no_result() -> None:
    """Best by words, by vectors and by reliability, and given by a search that ignores rights."""
    rights = Filter(acl_classes=frozenset({"staff"}))
    weights = {1: 0.99, 2: 0.5, 3: 0.5}
    retriever = make(
        {1: 0, 2: 30, 3: 60}, ListedWords([1, 1, 2]), weights, selection=FixedSelection([2, 3])
    )
    for limit in (1, 2, 8):
        hits = await retriever.search(Query("harbour 0", 1, limit, rights))
        assert [hit.chunk_id for hit in hits] == [2, 3][:limit]


async def test_nothing_passes() -> None:
    lexical = ListedWords([1])
    retriever = make({1: 0}, lexical, selection=FixedSelection([]))
    assert await retriever.search(Query("harbour 0", 1, 5, Filter(sources=frozenset("x")))) == []
    assert lexical.asked == []


async def test_a_filter_is_never_passed_over() -> None:
    with pytest.raises(ValueError, match="without a selection"):
        await make({1: 0}, ListedWords()).search(Query("x", 1, 5, Filter(min_reliability=0.5)))


def test_filters_are_checked() -> None:
    with pytest.raises(ValueError, match="nothing lies between"):
        Filter(date_from=date(2026, 2, 1), date_to=date(2026, 1, 31))
    with pytest.raises(ValueError, match="from 0 to 1"):
        Filter(min_reliability=1.5)
    assert Filter().is_empty
    assert not Filter(acl_classes=frozenset()).is_empty  # who may read nothing finds nothing


@pytest.mark.parametrize(
    "values",
    [
        {"candidates_per_result": 0},
        {"min_candidates": 0},
        {"min_similarity": 1.5},
        {"dense_weight": 1.1},
    ],
)
def test_config_is_checked(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"candidate|cosine|weight"):
        RankingConfig(**values)  # type: ignore[arg-type]
