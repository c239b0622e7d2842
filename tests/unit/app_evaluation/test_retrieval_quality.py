"""`larder eval retrieval`: formats, measures against another implementation, tuning."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import Qrel, R, ScoredDoc, iter_calc, nDCG
from typer.testing import CliRunner

from app.cli.root import app
from app.db.ranking_record import RankingRecord, read_ranking, write_ranking
from app.errors import DataDirDamaged, InvalidValue
from app.evaluation import retrieval_run
from app.evaluation.ranking_measures import ndcg, paired, recall
from app.evaluation.retrieval_quality import tune
from app.evaluation.retrieval_sets import (
    JudgedQuestion,
    LabelledPassage,
    RetrievalSet,
    load_retrieval_set,
)
from app.evaluation.retrieval_systems import open_systems
from app.evaluation.vector_cache import VectorCache
from tests.fakes.app import make_settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.tokenizer import FakePassageTokenizer

TOKENIZER = FakePassageTokenizer()
TOWNS = ("Ash", "Elm", "Oak", "Fir", "Yew", "Box")


@given(
    st.permutations(range(30)),
    st.sets(st.integers(0, 29), min_size=1, max_size=8),
    st.integers(1, 30),
)
def test_measures_equal_those_of_another_implementation(
    order: list[int], relevant: set[int], length: int
) -> None:
    ranking = order[:length]
    judged = [Qrel("q", str(place), 1) for place in relevant]
    run = [ScoredDoc("q", str(place), -float(at)) for at, place in enumerate(ranking)]
    theirs = {
        str(found.measure): found.value for found in iter_calc([nDCG @ 10, R @ 20], judged, run)
    }
    assert ndcg(ranking, relevant) == pytest.approx(theirs["nDCG@10"])
    assert recall(ranking, relevant) == pytest.approx(theirs["R@20"])


def test_nothing_found_is_worth_nothing() -> None:
    assert ndcg([], {1}) == recall([], {1}) == 0.0
    assert ndcg([1], set()) == recall([1], set()) == 0.0


def test_paired_differences() -> None:
    interval = paired([1.0, 0.5, 1.0], [0.5, 0.0, 0.5])
    assert interval.low == interval.mean == interval.high == 0.5


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def squad(folder: Path) -> Path:
    def paragraph(town: str) -> object:
        asked = {"question": f"When was the tower of {town} built?", "answers": []}
        return {"context": f"The tower of {town} is old. Nobody knows.", "qas": [asked]}

    articles = [{"title": f"Town_{town}", "paragraphs": [paragraph(town)]} for town in TOWNS]
    return write(folder, "squad.json", {"data": articles})


def nq_oracle(folder: Path) -> Path:
    rows = [
        {"question": f"where is {t}", "ctxs": [{"title": t, "text": "Here.", "isgold": True}]}
        for t in TOWNS
    ]
    path = folder / "nq.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return path


def hotpotqa(folder: Path) -> Path:
    def doc(town: str, cred: str) -> dict[str, str]:
        return {"title": town, "text": f"{town} is a town.", "cred": cred}

    rows = [
        {"question": f"{a} or {b}?", "docs": [doc(a, "high"), doc(b, "high"), doc("Ash", "low")]}
        for a, b in (("Elm", "Oak"), ("Fir", "Yew"))
    ]
    rows.append({"question": "Nothing?", "docs": [doc("Ash", "low")]})
    return write(folder, "hotpot.json", rows)


def chunking(folder: Path) -> Path:
    text = "\n\n".join(f"# {t}\n\n" + f"{t} is a town by the river. " * 40 for t in TOWNS)
    write(folder, "towns.md", text)
    excerpt = [{"content": "# Oak\n\nOak is a town", "start_index": 0, "end_index": 1}]
    lines = [
        "question,references,corpus_id",
        f'Where is Oak?,"{json.dumps(excerpt).replace(chr(34), chr(34) * 2)}",towns',
        "Not here?,[],pubmed",
    ]
    return write(folder, "questions.csv", "\n".join(lines))


@pytest.mark.parametrize(
    ("make", "file_format", "passages", "questions", "relevant"),
    [
        (squad, "squad", 6, 6, 1),
        (nq_oracle, "nq-oracle", 6, 6, 1),
        (hotpotqa, "hotpotqa", 5, 2, 2),
        (chunking, "chunking", 6, 1, 1),
    ],
)
def test_formats(
    tmp_path: Path,
    make: Callable[[Path], Path],
    file_format: str,
    passages: int,
    questions: int,
    relevant: int,
) -> None:
    judged = load_retrieval_set(make(tmp_path), file_format, TOKENIZER)
    assert len(judged.passages) >= passages
    assert len(judged.questions) == questions
    assert all(len(question.relevant) == relevant for question in judged.questions)
    if file_format == "chunking":
        (place,) = judged.questions[0].relevant
        assert "Oak is a town" in judged.passages[place].text
    assert len(judged.sample(1, 0).questions) == 1
    assert judged.sample(0, 3).passages == judged.passages


@pytest.mark.parametrize(
    ("content", "file_format"),
    [
        ("[]", "squad"),
        ("{", "nq-oracle"),
        ("[]", "hotpotqa"),
        ('[{"docs": 3}]', "hotpotqa"),
        ("question,references,corpus_id\na,[],../secret\n", "chunking"),
        ("question\na\n", "chunking"),
        ("", "trec"),
    ],
)
def test_bad_files_are_one_message(tmp_path: Path, content: str, file_format: str) -> None:
    path = write(tmp_path, "bad.json", content)
    with pytest.raises(InvalidValue, match=file_format):
        load_retrieval_set(path, file_format, TOKENIZER)


def test_missing_files_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        load_retrieval_set(tmp_path / "none.json", "squad", TOKENIZER)


def test_vectors_are_kept(tmp_path: Path) -> None:
    class Counted(WordEmbedder):
        calls = 0

        def encode(self, texts):
            Counted.calls += 1
            return super().encode(texts)

    done: list[int] = []
    cache = VectorCache(Counted(), tmp_path / "kept")
    first = cache.encode(["a b", "c"], done.append)
    assert np.array_equal(cache.encode(["a b", "c"], done.append), first)
    assert Counted.calls == 1
    assert done == [2, 2]
    cache.encode(["c", "a b"], done.append)
    VectorCache(Counted(), None).encode(["a b"], done.append)
    assert Counted.calls == 3


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LARDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(retrieval_run, "load_embedder", lambda _: WordEmbedder())
    monkeypatch.setattr(retrieval_run, "passage_tokenizer", lambda _: TOKENIZER)
    monkeypatch.setattr(retrieval_run.torch, "set_num_threads", lambda _: None)
    return squad(tmp_path)


def rows_of(dataset: Path, *options: str) -> list[dict[str, float]]:
    command = ["eval", "retrieval", "--dataset", str(dataset), "--json", *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, float]] = json.loads(result.stdout)["rows"]
    return rows


def test_systems_side_by_side(small: Path) -> None:
    rows = {str(row["system"]): row for row in rows_of(small)}
    assert list(rows) == ["words", "vectors", "hybrid", "bm25s", "minilm_faiss"]
    for name, row in rows.items():
        assert 0 <= row["low"] <= row["ndcg_at_10"] <= row["high"] <= 1
        assert row["n"] == 6
        assert row["latency_ms_p50"] > 0
        assert ("behind_hybrid" in row) == (name != "hybrid")
    assert rows["hybrid"]["ndcg_at_10"] == 1.0
    # Ours over our index and the usual few lines rank alike.
    assert rows["vectors"]["ndcg_at_10"] == rows["minilm_faiss"]["ndcg_at_10"]


def test_unknown_systems_are_one_line(small: Path) -> None:
    command = ["eval", "retrieval", "--dataset", str(small), "--systems", "magic"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert isinstance(result.exception, InvalidValue) or "unknown system" in result.output


def test_reranking_needs_a_reranker(small: Path) -> None:
    command = ["eval", "retrieval", "--dataset", str(small), "--systems", "hybrid_reranked"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert "LARDER_RERANKER" in str(result.exception) + result.output


def test_a_missing_package_is_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bm25s", None)
    command = ["eval", "retrieval", "--dataset", str(small), "--systems", "bm25s"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert "pip install bm25s" in str(result.exception) + result.output


def test_tuning_leaves_a_record(small: Path, tmp_path: Path) -> None:
    default, tuned = rows_of(small, "--tune")
    assert (default["system"], tuned["system"]) == ("default", "tuned")
    assert tuned["gain_low"] <= tuned["gain"] <= tuned["gain_high"]
    record = read_ranking(tmp_path / "data")
    assert record is not None
    assert record.dense_weight == tuned["dense_weight"]
    assert (record.embedder, record.dataset, record.questions) == ("words-256", "squad", 3)


@pytest.mark.anyio
async def test_tuning_prefers_the_search_that_is_right(tmp_path: Path) -> None:
    """Labels repeat a word of the question in the wrong passages; only vectors see past that."""
    passages = [LabelledPassage("", f"alpha{n} beta{n} gamma{n}") for n in range(20)]
    passages += [LabelledPassage("rare rare rare", f"rare{n} rare") for n in range(5)]
    asked = [JudgedQuestion(f"alpha{n} beta{n} gamma{n} rare", frozenset({n})) for n in range(20)]
    judged = RetrievalSet("made", tuple(passages), tuple(asked))
    embedder = WordEmbedder()
    vectors = embedder.encode([passage.indexed for passage in passages])
    async with open_systems(make_settings(tmp_path), judged, embedder, vectors) as systems:
        tuned = await tune(systems, judged.questions, lambda: None)
    by_system = {row["system"]: row for row in tuned.rows}
    assert by_system["tuned"]["ndcg_at_10"] >= by_system["default"]["ndcg_at_10"]
    assert tuned.questions == 10


def test_record_survives_and_damage_is_named(tmp_path: Path) -> None:
    assert read_ranking(tmp_path) is None
    record = RankingRecord("e", 0.7, "set", 50)
    write_ranking(tmp_path, record)
    assert read_ranking(tmp_path) == record
    for damaged in ("{", "[]", '{"dense_weight": 7}', '{"embedder": "e", "dense_weight": 2}'):
        (tmp_path / "ranking.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(DataDirDamaged, match=r"ranking\.json"):
            read_ranking(tmp_path)
    bad = {"embedder": "e", "dense_weight": "x", "dataset": "s", "questions": 1}
    (tmp_path / "ranking.json").write_text(json.dumps(bad), encoding="utf-8")
    with pytest.raises(DataDirDamaged):
        read_ranking(tmp_path)
