"""What a server searches with: settings, the tuned record, the embedder that was used before."""

from pathlib import Path

import pytest

from app.db.ranking_record import RankingRecord, write_ranking
from app.db.stamps import EMBEDDER, EMBEDDER_REFERENCE
from app.decoder.reranker import DecoderReranker
from app.ingest import searching
from app.ingest.searching import load_reranker, previous_embedder, ranking_config
from retrieval.config import DEFAULT_DENSE_WEIGHT
from retrieval.errors import EmbedderMissing, RerankerMissing
from tests.fakes.app import make_settings
from tests.fakes.decoder import FakeDecoder
from tests.fakes.ingest_parts import HashEmbedder

pytestmark = pytest.mark.anyio


def test_settings_and_the_tuned_weight(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path, passage_diversity=0.3, passage_cut=True, rerank_depth=7, fusion="ranks"
    )
    config = ranking_config(settings, "e")
    assert config.relevance_weight == pytest.approx(0.7)
    assert (config.cuts_list, config.rerank_depth) == (True, 7)
    assert (config.fusion, ranking_config(make_settings(tmp_path), "e").fusion) == (
        "ranks",
        "scores",
    )
    assert config.dense_weight == DEFAULT_DENSE_WEIGHT
    write_ranking(tmp_path, RankingRecord("e", 0.8, "set", 50))
    assert ranking_config(settings, "e").dense_weight == 0.8
    assert ranking_config(settings, "another").dense_weight == DEFAULT_DENSE_WEIGHT


async def test_no_reranker_unless_set(tmp_path: Path, kitchen) -> None:
    assert load_reranker(make_settings(tmp_path), kitchen.store.chunks, FakeDecoder()) is None
    chosen = make_settings(tmp_path, reranker="decoder")
    assert isinstance(load_reranker(chosen, kitchen.store.chunks, FakeDecoder()), DecoderReranker)
    with pytest.raises(RerankerMissing):
        load_reranker(
            make_settings(tmp_path, reranker=tmp_path), kitchen.store.chunks, FakeDecoder()
        )


async def test_the_embedder_before(kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = kitchen.store.stamps
    asked: list[str] = []

    def load(reference: str) -> HashEmbedder:
        asked.append(reference)
        if reference == "gone":
            raise EmbedderMissing("gone")
        return HashEmbedder("hash-1")

    monkeypatch.setattr(searching, "load_embedder", load)
    assert await previous_embedder(stamps, "new") is None
    await stamps.set(EMBEDDER, "hash-1")
    assert await previous_embedder(stamps, "hash-1") is None
    found = await previous_embedder(stamps, "new")
    assert found is not None
    assert found.identity == "hash-1"
    await stamps.set(EMBEDDER_REFERENCE, "gone")
    assert await previous_embedder(stamps, "new") is None
    await stamps.set(EMBEDDER_REFERENCE, "folder")
    await stamps.set(EMBEDDER, "hash-0")  # another model lies in that folder now
    assert await previous_embedder(stamps, "new") is None
    assert asked == ["packaged", "gone", "folder"]
