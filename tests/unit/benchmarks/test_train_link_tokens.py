"""Link tokens learn: on a tiny random model the loss falls, and the file serves the policy."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.support.model_folder import save_tiny_model

ROOT = Path(__file__).parents[3]


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    paragraphs = [
        {
            "context": f"Paper number {n} was folded by hand {n + 3} times before it was sold.",
            "qas": [
                {"question": f"How was paper {n} folded?", "answers": [{"text": "by hand"}]},
                {"question": f"Who sold paper {n}?", "answers": [{"text": "nobody"}]},
            ],
        }
        for n in range(4)
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"title": "Paper", "paragraphs": paragraphs}]}))
    return path


def test_training_lowers_the_divergence(
    squad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_MODEL", str(save_tiny_model(tmp_path / "tiny")))
    monkeypatch.setenv("LARDER_THREADS", "1")
    spec = importlib.util.spec_from_file_location(
        "train_link_tokens", ROOT / "benchmarks" / "train_link_tokens.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path / "links.safetensors"
    app = module.typer.Typer()
    app.command()(module.main)
    threads = torch.get_num_threads()
    result = CliRunner().invoke(
        app,
        [
            *("--dataset", str(squad), "--out", str(out), "--questions", "8", "--passages", "3"),
            *("--links", "2", "--steps", "30", "--rate", "0.05", "--answer-tokens", "6", "--json"),
            *("--encoding", "alone"),
        ],
        catch_exceptions=False,
    )
    torch.set_num_threads(threads)
    (row,) = json.loads(result.stdout)["rows"]
    assert row["loss_last"] < row["loss_first"]
    assert row["n"] == 2
    assert out.stat().st_size > 0
