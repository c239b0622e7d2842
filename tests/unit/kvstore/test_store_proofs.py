"""P6 to P8 on every family, and that each fails when what it proves is broken."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

import kvstore.store_proofs
from kvstore.keys import ModelIdentity
from kvstore.prefill import Prefiller
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.store_proofs import StoreTrial, altered, prove_keys, prove_order, prove_store
from kvstore.types import ChunkKV
from tests.support.tiny_models import build_runner

IDENTITY = ModelIdentity(
    weights="w",
    config="c",
    tokenizer="t",
    template="p",
    adapter=None,
    kv_dtype="torch.float32",
    codec="raw",
    layout=(2, 1, 8),
    rope_state="unrotated",
    compute="cpu",
)


def test_every_family_passes(runner: ModelRunner, tmp_path: Path) -> None:
    proofs = prove_store(runner, IDENTITY, tmp_path / "kv")
    assert sorted(proof.name[:2] for proof in proofs) == ["P6", "P7", "P8"]
    assert all(proof.passed for proof in proofs), proofs


def test_every_field_of_an_identity_is_altered_alone() -> None:
    others = altered(IDENTITY)
    assert len({other.digest for other in others} - {IDENTITY.digest}) == len(fields(IDENTITY))


def test_a_store_whose_tensors_are_written_into_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a missing copy at assembly would do."""
    assemble = Prefiller.assemble

    def careless(self: Prefiller, plan: object, cache: object) -> None:
        assemble(self, plan, cache)  # type: ignore[arg-type]
        for planned in plan.segments:  # type: ignore[attr-defined]
            if isinstance(planned.entry, ChunkKV):
                planned.entry.values.add_(1e-3)

    monkeypatch.setattr(Prefiller, "assemble", careless)
    immutability, *_ = prove_store(build_runner("llama"), IDENTITY, tmp_path / "kv")
    assert not immutability.passed


def test_a_key_without_the_identity_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_of = KVStore.key_of

    def nameless(self: KVStore, token_ids: tuple[int, ...], context: list[str]) -> object:
        self._identity = "any"
        return key_of(self, token_ids, context)

    monkeypatch.setattr(KVStore, "key_of", nameless)
    trial = StoreTrial.open(build_runner("llama"), IDENTITY, tmp_path / "kv")
    assert not prove_keys(trial).passed


def test_wrong_rows_in_one_order_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = StoreTrial.open(build_runner("llama"), IDENTITY, tmp_path / "kv")
    monkeypatch.setattr(kvstore.store_proofs, "permutations", lambda chunks: [chunks])
    forward = ModelRunner.forward_rows

    def off(self: ModelRunner, *args: object, **kwargs: object) -> torch.Tensor:
        return forward(self, *args, **kwargs) + torch.linspace(0, 1, 500)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelRunner, "forward_rows", off)
    assert not prove_order(trial).passed
