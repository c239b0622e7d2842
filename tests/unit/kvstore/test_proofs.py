"""P1 to P5 on every family, and that each proof fails when what it proves is broken."""

import pytest
import torch

import kvstore.attention
import kvstore.position
import kvstore.proofs
import kvstore.runner
from kvstore.proofs import (
    BEYOND,
    Proof,
    prove,
    prove_all_recomputed,
    prove_causality,
    prove_positions,
)
from kvstore.runner import ModelRunner
from tests.support.tiny_models import WINDOW, build_runner


def test_every_family_passes(runner: ModelRunner) -> None:
    proofs = prove(runner)
    assert [proof.name[:2] for proof in proofs] == ["P1", "P2", "P3", "P4", "P5"]
    assert all(proof.passed for proof in proofs), proofs


def test_a_window_is_crossed_and_a_long_prompt_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: dict[str, int] = {}

    def note(name: str) -> None:
        real = getattr(kvstore.proofs, name)

        def check(runner: ModelRunner, ids: torch.Tensor) -> Proof:
            lengths[name] = len(ids)
            proof: Proof = real(runner, ids)
            return proof

        monkeypatch.setattr(kvstore.proofs, name, check)

    names = ("positions", "all_recomputed", "poison", "causality", "prefix")
    for name in names:
        note(f"prove_{name}")
    assert all(proof.passed for proof in prove(build_runner("llama")))
    assert list(lengths.values()) == [1024, 96, 96, 96, 1024]
    assert all(proof.passed for proof in prove(build_runner("gemma3")))
    assert list(lengths.values()) == [1024, *[WINDOW + BEYOND] * 3, 1024]


def test_a_rotation_that_is_wrong_far_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = build_runner("llama")
    place = kvstore.position.Rotator.place

    def wrong_from_1500_on(
        self: kvstore.position.Rotator, keys: torch.Tensor, out: torch.Tensor, start: int
    ) -> None:
        place(self, keys, out, start)
        if start > 1500:
            out[:, :, start:] += 1e-3

    monkeypatch.setattr(kvstore.position.Rotator, "place", wrong_from_1500_on)
    assert not prove_positions(runner, torch.arange(64) + 2).passed


def test_positions_hold_over_the_whole_context(runner: ModelRunner) -> None:
    ids = torch.arange(2048) % 500
    assert prove_positions(runner, ids).passed


def test_a_mask_aligned_to_the_bottom_right_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """CacheBlend's mask: right only when the recomputed rows are the last ones."""

    def bottom_right(
        rows: torch.Tensor, num_keys: int, dtype: torch.dtype, _hidden: torch.Tensor | None = None
    ) -> torch.Tensor:
        shift = num_keys - len(rows)
        hidden = torch.arange(num_keys)[None] > torch.arange(len(rows))[:, None] + shift
        return torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, float("-inf"))[
            None, None
        ]

    runner = build_runner("llama")
    monkeypatch.setattr(kvstore.runner, "causal_mask", bottom_right)
    assert not prove_causality(runner, torch.arange(96) + 2).passed


def test_keys_stored_rotated_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = build_runner("llama")
    place = kvstore.position.Rotator.place

    def twice(
        self: kvstore.position.Rotator, keys: torch.Tensor, out: torch.Tensor, start: int
    ) -> None:
        place(self, keys, out, start)
        place(self, out[:, :, start : start + keys.shape[2]].contiguous(), out, start)

    monkeypatch.setattr(kvstore.position.Rotator, "place", twice)
    assert not prove_positions(runner, torch.arange(64) + 2).passed


def test_rows_that_are_not_replaced_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = build_runner("llama")
    forward = ModelRunner.forward_rows

    def lazy(self: ModelRunner, ids: torch.Tensor, rows: torch.Tensor, cache: object) -> object:
        return forward(self, ids, rows[-1:], cache)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelRunner, "forward_rows", lazy)
    assert not prove_all_recomputed(runner, torch.arange(64) + 2).passed


def test_implicit_causality_against_a_longer_cache_is_refused() -> None:
    query, key = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 5, 4)
    with pytest.raises(ValueError, match="explicit mask"):
        kvstore.attention.larder_attention(torch.nn.Identity(), query, key, key, None)
