"""`larder calibrate` on a tiny model: what is proved, chosen, confirmed, kept and said."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner, Result

from app.bootstrap import open_storage
from app.cli.root import app
from app.db.datadir import DataDir
from app.decoder import calibration
from app.decoder.calibration import KEY, Calibration, read_signed
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.errors import InvalidValue
from app.evaluation import calibrate as calibrate_module
from app.evaluation.bench_model import Bench
from app.evaluation.calibrate import (
    HIGH_RATIOS,
    Calibrator,
    Findings,
    Plan,
    candidates,
    keeps,
    split,
    summary,
)
from app.evaluation.calibration_set import DEMO, QUESTIONS, built_in_cases
from app.evaluation.datasets import QuestionCase
from app.evaluation.reuse_quality import Arm
from app.settings import load_settings
from kvstore.config import ReuseConfig
from kvstore.proofs import Proof
from kvstore.reuse import ReuseEngine
from tests.support.model_folder import save_tiny_model
from tests.support.tiny_models import SHAPE

PLAN = Plan(0.05, ("question",), 8, 16)
TOWNS = ("Ash", "Elm", "Oak", "Fir", "Yew", "Box", "Bay", "Fig")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LARDER_MODEL", str(save_tiny_model(tmp_path / "tiny")))
    monkeypatch.setenv("LARDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LARDER_DTYPE", "float32")
    monkeypatch.setenv("LARDER_THREADS", "1")
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def run(tiny: Path, *options: str) -> Result:
    paragraphs = []
    for number, town in enumerate(TOWNS):
        questions = [f"How high is {town}?", f"How old is {town}?"]
        qas = [{"question": text, "answers": [{"text": str(number)}]} for text in questions]
        context = f"The tower of {town} was built in {1500 + number} and is {number} metres high."
        paragraphs.append({"context": context, "qas": qas})
    dataset = tiny / "set.json"
    article = {"title": "Towers", "paragraphs": paragraphs}
    dataset.write_text(json.dumps({"data": [article]}), encoding="utf-8")
    command = ["calibrate", "--dataset", str(dataset), "--questions", "8", "--passages", "3"]
    return CliRunner().invoke(app, [*command, "--answer-tokens", "4", *options])


def kept_record(tiny: Path, identity: str) -> Calibration:
    async def read() -> Calibration:
        async with open_storage(load_settings()) as storage:
            kept = await storage.model_records.get(KEY + identity)
        assert kept is not None
        return read_signed(kept, identity, DataDir.create(tiny / "data").secret())

    return asyncio.run(read())


def test_a_model_that_keeps_to_the_target_gets_a_signed_record(tiny: Path) -> None:
    result = run(tiny, "--json", "--policies", "seam", "--export", str(tiny / "out.json"))
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    record = kept_record(tiny, body["identity"])
    assert record.allowed
    assert (record.policy, record.ratio, record.target) == (body["policy"], body["ratio"], 0.05)
    evidence = body["evidence"]
    names = [proof["name"][:2] for proof in evidence["proofs"]]
    assert sorted(names) == [f"P{number}" for number in range(1, 10)]
    assert all(proof["passed"] for proof in evidence["proofs"])
    assert [row["n"] for row in evidence["searched"]] == [8, 8, 8]
    assert (evidence["halves_by"], evidence["p9_questions"]) == ("question", 8)  # one article
    (confirmed,) = evidence["confirmed"]
    assert confirmed["kl_high"] <= 0.05
    assert evidence["machine"]["torch"]
    data = (tiny / "out.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() in result.stderr
    assert json.loads(data)["identity"] != body["identity"]
    assert "signature" not in json.loads(data)


def test_the_encodings_that_are_served_are_measured_and_recorded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_KV_ENCODINGS", "primed,neutral")
    result = run(tiny, "--json", "--policies", "seam")
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["encodings"] == ["primed", "neutral", "head"]
    assert {row["encoding"] for row in body["evidence"]["searched"]} == {"primed+neutral"}


def test_what_is_left_out_of_a_passage_is_left_out_here_too(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    made = Bench.engine

    def engine(bench: Bench, config: ReuseConfig) -> ReuseEngine:
        shares.append(config.keep_share)
        return made(bench, config)

    monkeypatch.setattr(Bench, "engine", engine)
    monkeypatch.setenv("LARDER_KV_KEEP_SHARE", "0.5")
    run(tiny, "--json", "--policies", "seam")
    assert shares == [0.5]


def test_a_target_nobody_keeps_to_is_said_and_kept(tiny: Path) -> None:
    result = run(tiny, "--target", "1e-9", "--policies", "seam")
    assert result.exit_code == 1, result.output
    assert "No policy kept the mean drift below 1e-09 nats" in result.stdout
    assert re.search(r"P9 questions\s+passed", result.stdout)
    assert len(re.findall(r"^seam\s", result.stdout, re.MULTILINE)) == 4  # larger ratios too


def test_a_failed_proof_ends_it(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [Proof("P2 all recomputed", False, 0.3)]
    monkeypatch.setattr(calibrate_module, "prove", lambda runner: failed)
    result = run(tiny)
    assert result.exit_code == 1
    assert "The proof P2 all recomputed failed" in result.stdout


def test_a_model_that_cannot_be_served_has_nothing_to_calibrate(tiny: Path) -> None:
    torch.manual_seed(7)
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=rope))
    model.save_pretrained(tiny / "tiny")
    result = run(tiny)
    assert isinstance(result.exception, InvalidValue)
    assert "dynamic NTK" in str(result.exception)


def row(policy: str, ratio: float, mean: float, high: float) -> dict[str, object]:
    return {"policy": policy, "ratio": ratio, "kl_mean": mean, "kl_high": high}


def test_the_smallest_ratio_comes_first_and_at_each_the_best_policy() -> None:
    rows = [
        row("none", 0.0, 0.04, 0.08),
        row("question", 0.05, 0.03, 0.04),
        row("seam", 0.05, 0.02, 0.03),
        row("question", 0.15, 0.01, 0.02),
    ]
    found = [(r["policy"], r["ratio"]) for r in candidates(rows, 0.05)]
    assert found == [("seam", 0.05), ("question", 0.15)]
    assert candidates(rows, 0.001) == []


def test_what_did_not_hold_on_the_other_half_is_said() -> None:
    passed = (Proof("P1 positions", True, 0.0),)
    confirmed = (row("seam", 0.05, 0.06, 0.08),)
    text = summary(Findings(passed, (row("seam", 0.05, 0.02, 0.03),), confirmed), PLAN)
    assert "on one half of the questions did not on the other" in text


@pytest.mark.parametrize(
    ("second_half", "tried", "is_kept"),
    [
        ({0.15: 0.02}, [0.15], True),
        ({0.15: 0.06, 0.3: 0.02}, [0.15, 0.3], True),  # larger ratios are searched only now
        ({0.15: 0.06, 0.3: 0.06, 0.5: 0.01}, [0.15, 0.3], False),  # two tries, no more
    ],
)
def test_what_is_not_confirmed_is_tried_once_more_at_a_larger_ratio(
    monkeypatch: pytest.MonkeyPatch,
    second_half: dict[float, float],
    tried: list[float],
    is_kept: bool,
) -> None:
    calibrator = Calibrator.__new__(Calibrator)
    calibrator._plan = PLAN
    searched: list = [row("question", 0.05, 0.06, 0.07), row("question", 0.15, 0.02, 0.03)]
    halves: list = [["first"], ["second"]]

    def measure(cases: object, arms: Sequence[Arm], progress: object) -> list[dict[str, object]]:
        high = second_half if cases == ["second"] else dict.fromkeys(HIGH_RATIOS, 0.01)
        return [row(arm.policy, arm.ratio, high[arm.ratio], high[arm.ratio]) for arm in arms]

    monkeypatch.setattr(calibrator, "_measure", measure)
    confirmed = calibrator._confirm(halves, searched, lambda line: None)
    assert [r["ratio"] for r in confirmed] == tried
    assert keeps(confirmed[-1], PLAN.target) == is_kept
    assert len(searched) == (2 if tried == [0.15] else 4)


def test_halves_ask_about_different_documents_where_there_are_enough() -> None:
    cases = [QuestionCase(f"{n}?", (), (), "abcdeab"[n % 7]) for n in range(28)]
    (one, two), by = split(cases, 12)
    assert by == "document"
    assert len(one) == len(two) == 12
    assert not {case.document for case in one} & {case.document for case in two}
    one_document = [QuestionCase(f"{n}?", (), (), "a") for n in range(28)]
    (one, two), by = split(one_document, 12)
    assert (by, len(one), len(two)) == ("question", 12, 12)
    assert not {case.question for case in one} & {case.question for case in two}


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(InvalidValue, match="too few for two halves"):
        split([], 8)
    with pytest.raises(InvalidValue, match="at least 8"):
        Plan(0.05, ("question",), 7, 16)
    with pytest.raises(InvalidValue, match="above 0"):
        Plan(float("nan"), ("question",), 8, 16)


def test_every_built_in_question_has_its_answer_in_its_document() -> None:
    asked = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    texts = {name: " ".join((DEMO / name).read_text("utf-8").split()) for name in asked}
    assert len(asked) == len(list(DEMO.rglob("*.md")))
    for name, questions in asked.items():
        for question, answer in questions:
            assert question.endswith("?")
            assert answer in texts[name], (name, answer)


def test_built_in_cases_hold_the_answer_and_have_both_sizes(tiny: Path, tmp_path: Path) -> None:
    template = PromptTemplate.load(tiny / "tiny", TextTokenizer(tiny / "tiny"))
    cases = built_in_cases(template, passages=4, seed=1)
    assert len(cases) >= 48
    assert len({case.question for case in cases}) == len(cases)
    assert all(len(case.passages) == 4 for case in cases)
    lengths = [len(p.shown.text) for case in cases for p in case.passages]
    assert min(lengths) < 250 < max(lengths)
    assert any(passage.primers for case in cases for passage in case.passages)
    assert built_in_cases(template, passages=4, seed=1) == cases
    with pytest.raises(InvalidValue, match="name questions of your own"):
        built_in_cases(template, passages=4, seed=1, demo=tmp_path / "nowhere")


def test_what_ships_is_what_is_pinned() -> None:
    for name, digest in calibration.SHIPPED_DIGESTS.items():
        data = (calibration.SHIPPED / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest, name
