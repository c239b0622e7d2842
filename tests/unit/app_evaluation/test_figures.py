"""The measuring commands on a tiny model: what they print is consistent in itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from app.cli.root import app
from app.errors import InvalidValue
from tests.support.model_folder import save_tiny_model

TEXT = "The tower of {0} was built in {1} and is {2} metres high. It stands beside the {0} mill."


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LARDER_MODEL", str(save_tiny_model(tmp_path / "tiny")))
    monkeypatch.setenv("LARDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LARDER_THREADS", "1")
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def figures(*command: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document) == {"machine", "settings", "rows"}
    assert document["machine"]["cores"] >= 1
    return document


def test_eval_reuse(tiny: Path) -> None:
    paragraphs = []
    for number, town in enumerate(("Ash", "Elm", "Oak", "Fir")):
        question = {"question": f"How high is {town}?", "answers": [{"text": str(number)}]}
        context = TEXT.format(town, 1500 + number, number)
        paragraphs.append({"context": context, "qas": [question]})
    dataset = tiny / "set.json"
    article = {"title": "Towers", "paragraphs": paragraphs}
    dataset.write_text(json.dumps({"data": [article]}), encoding="utf-8")
    command = ["eval", "reuse", "--dataset", str(dataset), "--questions", "3", "--passages", "3"]
    document = figures(*command, "--ratios", "0.2", "--answer-tokens", "6")
    rows = {(r["policy"], r["encoding"]): r for r in document["rows"]}  # type: ignore[attr-defined]
    assert len(rows) == 11
    for (policy, _), row in rows.items():
        assert row["n"] == 3
        assert row["kl_low"] <= row["kl_mean"] <= row["kl_high"]
        if policy == "all":
            assert row["kl_mean"] <= 1e-6
            assert row["top1_agreement"] == row["recomputed_share"] == 1.0
        elif policy == "none":
            assert row["recomputed_share"] == 0.0
            assert row["kl_mean"] > 1e-6
        else:
            assert row["recomputed_share"] == pytest.approx(0.2, abs=0.02)
        assert ("vs_random" in row) == (policy in {"question", "value_deviation", "epic"})


def test_bench_ttft(tiny: Path) -> None:
    command = ["bench", "ttft", "--chunks", "4", "--chunk-tokens", "40", "--requests", "2"]
    document = figures(*command, "--ratios", "0,0.5", "--dtypes", "float32")
    rows: list[dict[str, float]] = document["rows"]  # type: ignore[assignment]
    assert [(r["mode"], r["ratio"]) for r in rows] == [
        ("off", None),
        ("exact", None),
        ("auto", 0.0),
        ("auto", 0.5),
    ]
    assert all(r["ttft_ms_p50"] <= r["ttft_ms_p95"] for r in rows)
    assert rows[0]["times_below_off"] == 1.0
    again = figures(
        *command, "--ratios", "0.5", "--dtypes", "float32", "--by-layer", "--tier", "disk"
    )
    both: list[dict[str, object]] = again["rows"]  # type: ignore[assignment]
    assert [r["placed"] for r in both[2:]] == ["whole", "by layer"]


def test_bench_decode(tiny: Path) -> None:
    command = ["bench", "decode", "--context", "50", "--tokens", "4", "--repeats", "1"]
    rows: list[dict[str, object]] = figures(*command, "--dtypes", "float32")["rows"]  # type: ignore[assignment]
    assert [row["engine"] for row in rows] == ["larder", "transformers"]


def test_tables_are_for_people(tiny: Path) -> None:
    command = ["bench", "decode", "--context", "20", "--tokens", "2", "--repeats", "1"]
    result = CliRunner().invoke(app, [*command, "--dtypes", "float32"])
    assert result.exit_code == 0
    assert "tokens_per_s" in result.stdout
    assert "transformers" in result.stdout


@pytest.mark.slow
def test_bench_memory(tiny: Path) -> None:
    rows: list[dict[str, float]] = figures("bench", "memory", "--prompt-tokens", "400")["rows"]  # type: ignore[assignment]
    assert [row["state"] for row in rows] == ["idle", "warm", "prompt"]
    assert rows[2]["peak_mib"] >= rows[1]["peak_mib"] >= rows[0]["peak_mib"] > 50
    assert rows[2]["prompt_tokens"] > 400
    for tier in ("ram", "disk"):
        assert rows[2][f"{tier}_mib"] <= rows[2][f"{tier}_budget_mib"]


def test_bench_vote(tiny: Path) -> None:
    """Stored KV saves what it says it does, and every arm gives the same answers."""
    towns = ("Ash", "Elm", "Oak")
    lines = [
        {
            "question": f"How high is {town}?",
            "documents": [{"text": TEXT.format(town, 1500 + n, n)} for n in range(3 + k)],
        }
        for k, town in enumerate(towns)
    ]
    dataset = tiny / "set.jsonl"
    dataset.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    document = figures("bench", "vote", "--dataset", str(dataset), "--answer-tokens", "5")
    rows = {row["mode"]: row for row in document["rows"]}  # type: ignore[attr-defined]
    assert list(rows) == ["full", "full_batched", "vote"]
    full, vote = rows["full"], rows["vote"]
    assert full["share_from_caches"] == rows["full_batched"]["share_from_caches"] == 0
    assert {row["same_answers"] for row in rows.values()} == {1.0}
    assert {row["sources"] for row in rows.values()} == {4.0}
    assert vote["share_from_caches"] > 0.5
    cached = vote["share_from_caches"] * vote["prompt_tokens"]
    assert vote["computed_tokens"] == pytest.approx(full["computed_tokens"] - cached)
    assert vote["computed_of_full"] == pytest.approx(
        vote["computed_tokens"] / full["computed_tokens"]
    )


def test_bench_vote_refuses_other_files(tiny: Path) -> None:
    bad = tiny / "bad.jsonl"
    bad.write_text('{"question": 1}', encoding="utf-8")
    for options in (["--dataset", str(bad)], ["--dataset", str(bad), "--format", "squad"]):
        result = CliRunner().invoke(app, ["bench", "vote", *options])
        assert isinstance(result.exception, InvalidValue)
