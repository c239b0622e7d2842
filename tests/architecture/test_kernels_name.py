"""Our package `kernels` bears a name that transformers looks for, and must not be taken for it.

Were it, importing Llama would fail. So the package stays empty and without a version.
"""

import importlib
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import is_kernels_available

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "retrieval", "kvstore", "reliability", "kernels")


def test_kernels_is_empty() -> None:
    assert (ROOT / "kernels" / "__init__.py").read_bytes() == b""


def test_transformers_does_not_take_our_kernels_for_its_own() -> None:
    assert not is_kernels_available()


def test_a_tiny_llama_is_built_and_runs() -> None:
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.inference_mode():
        logits = model(torch.tensor([[1, 2, 3]])).logits
    assert logits.shape == (1, 3, 32)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_the_one_in_this_repository(name: str) -> None:
    """All five names are published packages too."""
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).resolve() == ROOT / name / "__init__.py"
