"""Intervals, F1 and evaluation sets."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidValue
from app.evaluation.cli import numbers
from app.evaluation.datasets import Layout, load_cases
from app.evaluation.statistics import bootstrap, token_f1


def test_bootstrap_holds_the_mean_and_repeats() -> None:
    values = [float(n) for n in range(50)]
    interval = bootstrap(values)
    assert interval.low < interval.mean == 24.5 < interval.high
    assert interval == bootstrap(values)
    assert bootstrap([3.0, 3.0]) == bootstrap([3.0, 3.0], seed=5)


@pytest.mark.parametrize(
    ("answer", "references", "f1"),
    [
        ("The Panthers.", ["panthers"], 1.0),
        ("panthers defense", ["Panthers", "the Panthers defense"], 1.0),
        ("a b c d", ["b d x"], 4 / 6),
        ("nothing", ["else"], 0.0),
        ("", [""], 1.0),
        ("word", [], 0.0),
    ],
)
def test_token_f1(answer: str, references: list[str], f1: float) -> None:
    assert token_f1(answer, references) == pytest.approx(f1)


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    def paragraph(name: str) -> dict[str, object]:
        answers = [{"text": name, "answer_start": 0}]
        return {"context": f"{name} stands here.", "qas": [{"question": name, "answers": answers}]}

    article = {"title": "Some_Town", "paragraphs": [paragraph(c) for c in "ABCDEFG"]}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [article, article]}), encoding="utf-8")
    return path


def test_squad_prompts_hold_the_gold_paragraph_among_others(squad: Path) -> None:
    cases = load_cases(squad, "squad", 10, layout=Layout(4), seed=1)
    assert len(cases) == 10
    assert cases == load_cases(squad, "squad", 10, layout=Layout(4), seed=1)
    assert cases != load_cases(squad, "squad", 10, layout=Layout(4), seed=2)
    places = set()
    for case in cases:
        texts = [passage.shown.text for passage in case.passages]
        assert len(set(texts)) == 4
        places.add(texts.index(f"{case.answers[0]} stands here."))
        assert {passage.shown.label for passage in case.passages} == {"Some Town"}
    assert len(places) > 1


def test_a_paragraph_is_primed_by_its_neighbours(squad: Path) -> None:
    for case in load_cases(squad, "squad", 10, layout=Layout(4), seed=1):
        for passage in case.passages:
            away = [ord(primer.text[0]) - ord(passage.shown.text[0]) for primer in passage.primers]
            assert away[:2] in ([-2, -1], [1, 2])
            assert all(abs(places) <= 4 for places in away[2:])
            assert len(set(away)) == 4


def test_other_passages_of_any_article(tmp_path: Path) -> None:
    def article(name: str) -> dict[str, object]:
        answers = [{"text": name, "answer_start": 0}]
        qas = [{"question": name, "answers": answers}]
        return {"title": name, "paragraphs": [{"context": f"{name}{n}", "qas": qas} for n in "12"]}

    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [article(name) for name in "abcd"]}), encoding="utf-8")
    for case in load_cases(path, "squad", 8, layout=Layout(4, others="any"), seed=1):
        labels = [passage.shown.label for passage in case.passages]
        assert labels.count(case.question) == 1
        assert len(labels) == 4


def test_bad_evaluation_sets_are_named(squad: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="known: squad"):
        load_cases(squad, "jsonl", 1, layout=Layout(4), seed=0)
    with pytest.raises(InvalidValue, match="no file"):
        load_cases(tmp_path / "none.json", "squad", 1, layout=Layout(4), seed=0)
    squad.write_text('{"rows": []}', encoding="utf-8")
    with pytest.raises(InvalidValue, match="not in the format"):
        load_cases(squad, "squad", 1, layout=Layout(4), seed=0)


def test_numbers() -> None:
    assert numbers("0,0.05,1") == [0.0, 0.05, 1.0]
    with pytest.raises(InvalidValue, match="separated by commas"):
        numbers("0;1")
