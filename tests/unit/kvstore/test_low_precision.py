"""The proofs in fp16 and bf16: they pass within the stated noise, and the noise is really smaller
than what a broken mask would cause."""

from pathlib import Path

import pytest
import torch

import kvstore.attention
import kvstore.runner
from kvstore.proofs import KL_TOLERANCE, TOLERANCE, prove, prove_all_recomputed
from kvstore.runner import ModelRunner
from kvstore.store_proofs import prove_store
from tests.support.tiny_models import FAMILIES, build_model
from tests.unit.kvstore.test_store_proofs import IDENTITY

DTYPES = (torch.float16, torch.bfloat16)


def low_runner(family: str, dtype: torch.dtype) -> ModelRunner:
    model = build_model(family).to(dtype)
    model.set_attn_implementation(kvstore.attention.register())
    return ModelRunner(model)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_proofs_pass(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    runner = low_runner(name, dtype)
    proofs = [*prove(runner), *prove_store(runner, IDENTITY, tmp_path / "kv")]
    assert all(proof.passed for proof in proofs), proofs


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_mask_that_hides_too_much_is_caught(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    causal = kvstore.runner.causal_mask

    def short(rows: torch.Tensor, num_keys: int, *rest: object) -> torch.Tensor:
        mask = causal(rows, num_keys, *rest)  # type: ignore[arg-type]
        mask[..., num_keys // 2 :, : num_keys // 2] = float("-inf")
        return mask

    monkeypatch.setattr(kvstore.runner, "causal_mask", short)
    assert not prove_all_recomputed(low_runner("llama", dtype), torch.arange(96) + 2).passed


def test_tolerances_follow_precision() -> None:
    for tolerance in (TOLERANCE, KL_TOLERANCE):
        single, half, brain = (tolerance[d] for d in (torch.float32, torch.float16, torch.bfloat16))
        assert single < half < brain
