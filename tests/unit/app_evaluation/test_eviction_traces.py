"""Traces of real prompts: repeats by Zipf's law, Cache-Craft's overhead from what stood before."""

import json
from pathlib import Path

import pytest
import typer.testing

from app.cli.root import app
from app.errors import InvalidValue
from app.evaluation.datasets import LabelledText, Passage
from app.evaluation.eviction import (
    CONTEXT_IMPACT,
    EvictionRequest,
    bench_eviction,
    fix_overhead,
    load_prompts,
    make_trace,
)

REQUEST = EvictionRequest(requests=200, passages=3, skew=1.0, budgets=(0.2, 1.0), seeds=2)


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    paragraphs = [
        {"context": f"Paragraph {n}. " * (5 + n), "qas": [question(n, m) for m in range(3)]}
        for n in range(8)
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}), "utf-8")
    return path


def question(paragraph: int, number: int) -> dict[str, object]:
    return {"question": f"Q{paragraph}.{number}?", "answers": [{"text": "Paragraph"}]}


@pytest.fixture
def ramdocs(tmp_path: Path) -> Path:
    lines = [{"documents": [{"text": f"{n} {m} " * 20} for m in range(4)]} for n in range(20)]
    path = tmp_path / "ramdocs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return path


def test_every_rule_is_replayed_on_every_set(squad: Path, ramdocs: Path) -> None:
    rows = bench_eviction([squad, ramdocs], ["squad", "ramdocs"], REQUEST)
    assert len(rows) == 2 * 2 * 4
    for row in rows:
        assert 0 < row["seconds_saved"] < row["hit_tokens"] <= 1
        assert row["uses"] == 200 * 3
    by_rule = {row["rule"]: row["hit_tokens"] for row in rows if row["budget"] == 1.0}
    assert len({round(by_rule[name], 9) for name in by_rule}) == 1  # room for everything
    small = {(row["format"], row["rule"]): row["hit_tokens"] for row in rows if row["budget"] < 1}
    assert small["ramdocs", "gdsf"] > small["ramdocs", "lru"]


def test_popular_questions_come_more_often_and_may_change(ramdocs: Path) -> None:
    prompts = load_prompts(ramdocs, "ramdocs", 1, 0)
    request = EvictionRequest(1000, 1, 1.0, (1.0,), 1)
    uses = [use.entry for use in make_trace(prompts, request, 0)]
    counts = sorted((uses.count(entry) for entry in set(uses)), reverse=True)
    assert counts[0] > 3 * counts[9]
    steady = EvictionRequest(1000, 1, 3.0, (1.0,), 1)
    shifting = EvictionRequest(1000, 1, 3.0, (1.0,), 1, shifts=1)
    halves = [make_trace(prompts, shifting, 0)[part] for part in (slice(0, 500), slice(500, 1000))]
    favourites = [max(set(half), key=half.count) for half in halves]
    assert favourites[0] != favourites[1]
    assert len(make_trace(prompts, steady, 0)) == 1000


def test_the_overhead_is_what_an_entry_has_not_seen() -> None:
    texts = [LabelledText("", str(n)) for n in range(4)]
    prompt = [
        Passage(texts[0]),
        Passage(texts[1], (texts[0], texts[3])),
        Passage(texts[2], (texts[0], texts[1])),
        Passage(texts[3]),
    ]
    overheads = [fix_overhead(prompt, place) for place in range(4)]
    assert overheads == [0.0, CONTEXT_IMPACT / 2, 0.0, CONTEXT_IMPACT]


def test_what_is_no_such_file_is_said(tmp_path: Path, squad: Path) -> None:
    with pytest.raises(InvalidValue, match="name one a set"):
        bench_eviction([squad], ["squad", "ramdocs"], REQUEST)
    with pytest.raises(InvalidValue, match="not a RAMDocs file"):
        load_prompts(squad, "ramdocs", 3, 0)


def test_the_command_prints_figures(squad: Path) -> None:
    arguments = ["bench", "eviction", "--dataset", str(squad), "--requests", "50", "--json"]
    result = typer.testing.CliRunner().invoke(app, [*arguments, "--passages", "3", "--seeds", "1"])
    assert result.exit_code == 0, result.output
    assert {row["rule"] for row in json.loads(result.stdout)["rows"]} >= {"lru", "gdsf"}
