"""`larder eval chunking`: plain splitters, measures on spans, and rows that agree in themselves."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli.root import app
from app.evaluation import retrieval_run
from app.evaluation.chunking_quality import SPLITTERS, measure_spans
from app.evaluation.splitters import fixed_spans, recursive_spans
from tests.fakes.embedder import WordEmbedder
from tests.fakes.tokenizer import FakePassageTokenizer

TOKENIZER = FakePassageTokenizer()
TOWNS = ("Ash", "Elm", "Oak", "Fir")


def test_measures_on_spans() -> None:
    chunks = [(0, 10), (10, 20), (20, 30)]
    perfect = measure_spans(chunks, [1], [(10, 20)])
    assert (perfect.recall, perfect.precision, perfect.iou, perfect.precision_omega) == (1,) * 4
    half = measure_spans(chunks, [0], [(5, 15)])
    assert (half.recall, half.precision) == (0.5, 0.5)
    assert half.iou == pytest.approx(5 / 15)
    assert half.precision_omega == 0.5  # both chunks it touches, ten of twenty characters
    missed = measure_spans(chunks, [2], [(5, 15), (5, 12)])
    assert (missed.recall, missed.precision, missed.iou) == (0, 0, 0)
    none = measure_spans([], [], [(0, 0)])
    assert (none.recall, none.precision, none.iou, none.precision_omega) == (0, 0, 0, 0)


@given(st.text("ab .\n?", max_size=300), st.integers(2, 30))
def test_plain_splitters_lose_nothing_and_stay_within_the_size(text: str, size: int) -> None:
    for cut in (fixed_spans, recursive_spans):
        spans = cut(text, TOKENIZER, size)
        assert all(left[1] <= right[0] for left, right in pairwise(spans))
        kept = "".join(text[start:end] for start, end in spans)
        assert kept.split() == text.split() or "".join(kept.split()) == "".join(text.split())
        for start, end in spans:
            is_one_word = len(text[start:end].split()) == 1
            assert is_one_word or TOKENIZER.count(text[start:end]) <= size + 1


def test_recursive_prefers_paragraphs() -> None:
    text = "One two three four.\n\nFive six seven eight.\n\nNine ten."
    spans = recursive_spans(text, TOKENIZER, 7)
    assert [text[start:end].strip() for start, end in spans][:1] == ["One two three four."]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LARDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(retrieval_run, "load_embedder", lambda _: WordEmbedder())
    monkeypatch.setattr(retrieval_run, "passage_tokenizer", lambda _: TOKENIZER)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    text = "\n\n".join(f"# {t}\n\n" + f"{t} has a mill by the river. " * 60 for t in TOWNS)
    (tmp_path / "towns.md").write_text(text, encoding="utf-8")
    rows = ["question,references,corpus_id"]
    for town in TOWNS:
        excerpt = json.dumps([{"content": f"{town} has a mill by the river."}])
        quoted = excerpt.replace('"', '""')
        rows.append(f'What has {town} by the river?,"{quoted}",towns')
    path = tmp_path / "questions.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_rows(dataset: Path) -> None:
    command = ["eval", "chunking", "--dataset", str(dataset), "--retrieved", "2", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows = {row["splitter"]: row for row in json.loads(result.stdout)["rows"]}
    assert tuple(rows) == SPLITTERS
    for row in rows.values():
        assert row["n"] == len(TOWNS)
        assert row["recall_low"] <= row["recall"] <= row["recall_high"]
        assert 0 < row["precision_omega"] <= 1
        assert row["iou"] <= row["precision"] + 1e-9
    assert rows["larder"]["recall"] >= 0.5
    assert rows["fixed_200"]["chunks"] > rows["fixed_400"]["chunks"]


def test_unknown_splitters_are_refused(dataset: Path) -> None:
    command = ["eval", "chunking", "--dataset", str(dataset), "--splitters", "magic"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert "unknown splitter" in str(result.exception) + result.output
