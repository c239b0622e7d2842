"""Does reuse work on this machine as it should? Proofs run once per identity, the result is kept.

The first half of the gate (DESIGN 5): a model that fails a proof gets exact reuse only, and not
even that where the proofs of exact reuse failed. The other half is a calibration record
(calibration.py): how far the model drifts.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from app.decoder.calibration import Records
from app.decoder.cost import PrefillCost, measure_prefill_cost
from kvstore.proofs import prove
from kvstore.runner import ModelRunner

logger = logging.getLogger(__name__)

VERSION = 2  # raise it when proofs or measurements change: every model is then proved again


OF_EXACT_REUSE = ("P1", "P5")  # without these P and the first passage are not reused either


@dataclass(frozen=True, slots=True)
class GateRecord:
    proven: bool
    failed: tuple[str, ...]  # names of the proofs that failed
    cost: PrefillCost

    @property
    def exact_is_proven(self) -> bool:
        """Positions and the exact prefix hold, whatever else failed."""
        return not any(name.startswith(OF_EXACT_REUSE) for name in self.failed)


async def pass_gate(runner: ModelRunner, identity: str, records: Records) -> GateRecord:
    """The kept record of this identity, or a new one after running the proofs."""
    known = await records.get(identity)
    if known is not None and known.get("version") == VERSION:
        return _from_json(known)
    logger.info("first start with this model: proving exactness and measuring prefill")
    proofs = prove(runner)
    cost = measure_prefill_cost(runner)
    await records.save(
        identity,
        {
            "version": VERSION,
            "proofs": [proof.as_dict() for proof in proofs],
            "ms_per_token": cost.ms_per_token,
            "ms_per_token_squared": cost.ms_per_token_squared,
        },
    )
    failed = tuple(proof.name for proof in proofs if not proof.passed)
    return GateRecord(not failed, failed, cost)


def _from_json(record: Mapping[str, object]) -> GateRecord:
    proofs = record["proofs"]
    assert isinstance(proofs, list)
    failed = tuple(str(proof["name"]) for proof in proofs if not proof["passed"])
    cost = PrefillCost(
        float(str(record["ms_per_token"])), float(str(record["ms_per_token_squared"]))
    )
    return GateRecord(not failed, failed, cost)
