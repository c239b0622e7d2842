"""Documents read instead of believed: what was read takes the place of the label it means."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidValue
from app.evaluation.reliability_reading import read_poisoned, read_ramdocs, sampled
from app.evaluation.reliability_run import file_world

RAMDOCS = {
    "question": "Who built the mill?",
    "disambig_entity": ["Ash Mill"],
    "gold_answers": ["Anna Berg"],
    "wrong_answers": ["Otto Kurz"],
    "documents": [
        {"text": "right", "type": "correct", "answer": "Anna Berg"},
        {"text": "wrong", "type": "misinfo", "answer": "Otto Kurz"},
        {"text": "neither", "type": "misinfo", "answer": "Otto Kurz"},
        {"text": "nothing", "type": "noise", "answer": "unknown"},
    ],
}
POISONED = {
    "question": "How many episodes are there?",
    "correct answer": "23",
    "incorrect answer": "24",
    "adv_texts": ["long", "short", "nothing"],
}
SAID = {
    "right": "Berg, Anna",
    "wrong": "Otto Kurz built it",
    "neither": "Eva Sund",
    "long": "It has 24 episodes",
    "short": "24",
}


def read(question: str, text: str) -> str | None:
    return SAID.get(text)


def test_what_was_read_is_named_by_the_label_it_means() -> None:
    steps = []
    (item,) = read_ramdocs([RAMDOCS], read, lambda: steps.append(1))
    answers = [document["answer"] for document in item["documents"]]
    assert answers == ["Anna Berg", "Otto Kurz", "Eva Sund", "unknown"]
    assert RAMDOCS["documents"][2]["answer"] == "Otto Kurz"
    (item,) = read_poisoned([POISONED], read, lambda: steps.append(1))
    assert item["read"] == ["24", "24", None]
    assert len(steps) == 2


def test_a_sample_is_the_same_each_time_and_keeps_the_order() -> None:
    items = [{"n": n} for n in range(50)]
    chosen = sampled(items, 9)
    assert chosen == sampled(items, 9)
    assert [item["n"] for item in chosen] == sorted(item["n"] for item in chosen)
    assert sampled(items, None) == sampled(items, 99) == items


@pytest.mark.parametrize(("file_format", "item"), [("ramdocs", RAMDOCS), ("poisoned", POISONED)])
def test_a_file_that_was_read_makes_worlds(
    tmp_path: Path, file_format: str, item: dict[str, object]
) -> None:
    path = tmp_path / "file"
    text = json.dumps(item if file_format == "ramdocs" else {"test1": item})
    path.write_text(text, encoding="utf-8")
    make = file_world(path, file_format, None, 1, read)
    world = make(0)
    answers = [row.answer for row in world.probes]
    assert ("eva sund" if file_format == "ramdocs" else "24") in answers
    assert None in answers
    assert make(1).name == file_format


def test_claims_have_no_documents(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no documents"):
        file_world(tmp_path / "x_claims.csv", "claims", None, 5)
