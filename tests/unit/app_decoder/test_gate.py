"""Proofs run once a model and decide what is reused; what a prefill costs is measured with them."""

import pytest

from app.decoder import cost, gate
from app.decoder.cost import PrefillCost, measure_prefill_cost
from app.decoder.gate import GateRecord, pass_gate
from app.decoder.load import load_decoder
from app.decoder.types import DecodeRequest, Passage, Prefilled
from app.settings import Settings
from kvstore import reasons
from kvstore.memory_index import MemoryIndex
from kvstore.proofs import Proof
from kvstore.runner import ModelRunner
from tests.support.tiny_models import build_runner
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio

COST = PrefillCost(0.5, 0.001)
FAILED = [Proof("P1 positions", True, 0.0), Proof("P2 all recomputed", False, 0.3)]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> ModelRunner:
    monkeypatch.setattr(gate, "measure_prefill_cost", lambda runner: COST)
    return build_runner("llama")


async def test_proofs_run_once_and_the_record_is_kept(
    runner: ModelRunner, records: DictRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await pass_gate(runner, "identity", records)
    assert first == GateRecord(True, (), COST)
    monkeypatch.setattr(gate, "prove", lambda runner: pytest.fail("proved again"))
    assert await pass_gate(runner, "identity", records) == first
    assert records.saves == 1
    proofs = records.kept["identity"]["proofs"]
    assert isinstance(proofs, list)
    assert [proof["name"][:2] for proof in proofs] == ["P1", "P2", "P3", "P4", "P5"]


async def test_another_identity_or_version_is_proved_anew(
    runner: ModelRunner, records: DictRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pass_gate(runner, "identity", records)
    await pass_gate(runner, "another", records)
    monkeypatch.setattr(gate, "VERSION", gate.VERSION + 1)
    await pass_gate(runner, "identity", records)
    assert records.saves == 3


async def test_a_failed_proof_is_remembered(
    runner: ModelRunner, records: DictRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "prove", lambda runner: FAILED)
    for _ in range(2):
        record = await pass_gate(runner, "identity", records)
        assert record == GateRecord(False, ("P2 all recomputed",), COST)
    assert records.saves == 1


@pytest.mark.parametrize(
    ("failed", "code", "actions"),
    [
        ("P2 all recomputed", reasons.MODEL_NOT_PROVEN, ["exact", "exact", "computed", "computed"]),
        ("P5 exact prefix", reasons.EXACT_NOT_PROVEN, ["computed"] * 4),
        ("P1 positions", reasons.EXACT_NOT_PROVEN, ["computed"] * 4),
    ],
)
async def test_a_model_that_failed_gets_exact_reuse_or_none_and_the_reason(
    settings: Settings,
    records: DictRecords,
    monkeypatch: pytest.MonkeyPatch,
    failed: str,
    code: str,
    actions: list[str],
) -> None:
    monkeypatch.setattr(gate, "prove", lambda runner: [Proof(failed, False, 0.3)])
    service = await load_decoder(settings, MemoryIndex(), records, SECRET)
    try:
        status = service.chunk_reuse()
        assert (status.allowed, status.reason) == (False, f"{code}: {failed}")
        passages = [Passage(1, service.encode_passage("Label", letter * 90)) for letter in "ab"]
        await service.precompute(passages)
        request = DecodeRequest(tuple(passages), "Why?")
        event = await anext(aiter(service.answer(request)))
        assert isinstance(event, Prefilled)
        assert event.report.reason == code
        assert event.report.tokens.reused == event.report.tokens.recomputed == 0
        assert [s.action for s in event.report.segments] == actions
    finally:
        await service.close()


def test_cost_grows_with_the_square() -> None:
    assert COST.estimate_ms(0) == 0
    assert COST.estimate_ms(1000) == 1500


def test_measured_times_are_solved_for_both_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_best_ms", lambda runner, n: COST.estimate_ms(n))
    solved = measure_prefill_cost(build_runner("llama"))
    assert solved.estimate_ms(2000) == pytest.approx(COST.estimate_ms(2000))


def test_times_that_fall_make_no_negative_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_best_ms", lambda runner, n: 50.0)
    solved = measure_prefill_cost(build_runner("llama"))
    assert solved.ms_per_token_squared == 0
    assert solved.estimate_ms(1500) > 0


def test_a_real_measurement_is_positive() -> None:
    assert measure_prefill_cost(build_runner("llama")).estimate_ms(500) > 0
