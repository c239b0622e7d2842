"""`larder bench ingest` on a handful of documents: every stage has its figure."""

from pathlib import Path

import pytest

from app.errors import InvalidValue
from app.evaluation.bench_model import open_bench
from app.evaluation.ingest_corpus import collect, small_documents
from app.evaluation.ingest_speed import bench_ingest, bench_memory_flat, resident_bytes
from app.settings import load_settings
from retrieval.embedding import load_embedder
from tests.support.model_folder import save_tiny_model


def write_corpus(folder: Path) -> None:
    for number in range(6):
        text = "\n\n".join(f"Paragraph {number} {line} about the harbour." for line in range(40))
        (folder / f"{number}.md").write_text(f"# Part {number}\n\n{text}\n", encoding="utf-8")
    (folder / "copy.md").write_bytes((folder / "0.md").read_bytes())
    (folder / "short.md").write_text("short", encoding="utf-8")
    (folder / "data.bin").write_bytes(b"x" * 2000)


def test_different_text_files_in_the_same_order(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    found = collect(tmp_path, 6)
    assert found == collect(tmp_path, 6)
    assert len({document.body for document in found}) == 6
    with pytest.raises(InvalidValue, match="holds 6 different text files"):
        collect(tmp_path, 7)


@pytest.mark.slow
def test_every_stage_is_measured(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    model = save_tiny_model(tmp_path / "model")
    settings = load_settings(data_dir=tmp_path / "data", model=str(model), threads=1)
    notes: list[str] = []
    with open_bench(settings, dtype="float32", ram_bytes=0) as bench:
        embedder = load_embedder()
        rows = bench_ingest(
            settings, bench, embedder, collect(corpus, 6), kv_chunks=2, note=notes.append
        )
        memory = bench_memory_flat(settings, bench, embedder, small_documents(20))
    found = {row["stage"]: row for row in rows}
    assert list(found) == [
        "parse",
        "chunk",
        "embed",
        "sentence-transformers",
        "index",
        "near-duplicates",
        "pipeline",
        "KV",
        "pipeline with KV",
    ]
    for row in rows:
        assert row["chunks_per_s"] >= row["documents_per_s"] > 0
        assert row["tokens_per_s"] > row["chunks_per_s"]
    assert 0 < found["pipeline"]["ratio"] < 2
    assert 0 < found["pipeline with KV"]["ratio"] < 2
    assert 0 < memory["ratio"] < 3
    assert notes[0] == "parse and chunk"
    assert resident_bytes() > 2**20
