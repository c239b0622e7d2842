"""What a loaded model may reuse, from the proofs and from its calibration record; in words, too."""

import logging
from dataclasses import replace

from app.decoder.calibration import COMMAND, Calibration, Found
from app.decoder.gate import GateRecord
from app.decoder.types import ChunkReuseStatus
from app.settings import Settings
from kvstore import reasons
from kvstore.config import ReuseConfig

logger = logging.getLogger(__name__)


def reuse_config(settings: Settings, record: Calibration | None) -> ReuseConfig:
    """What the settings say, else what was calibrated, else the defaults. Whether it may be served
    is for `status_of` to say."""
    base = ReuseConfig()
    calibrated = record is not None and record.allowed
    policy = record.policy if record is not None and calibrated else base.policy
    ratio = record.ratio if record is not None and calibrated else base.ratio
    return ReuseConfig(
        policy=policy if settings.reuse_policy is None else settings.reuse_policy,
        ratio=ratio if settings.reuse_ratio is None else settings.reuse_ratio,
        encodings=tuple(dict.fromkeys((*settings.kv_encodings, "head"))),
        keep_share=settings.kv_keep_share,
        variants=settings.kv_variants,
        layerwise=settings.kv_layerwise,
    )


def written_as(settings: Settings) -> str:
    """Codec and what is left out: entries of another way of writing are not read."""
    left_out = "" if settings.kv_keep_share == 1 else f"+keydiff{settings.kv_keep_share:g}"
    return f"{settings.kv_codec}{left_out}"


def status_of(gate: GateRecord, found: Found, config: ReuseConfig) -> ChunkReuseStatus:
    """Both halves of the gate, in words that say what to do."""
    if not gate.proven:
        failed = ", ".join(gate.failed)
        what = "only exact reuse is served" if gate.exact_is_proven else "nothing is reused"
        logger.error("exactness proofs failed (%s): %s", failed, what)
        exact = reasons.MODEL_NOT_PROVEN if gate.exact_is_proven else reasons.EXACT_NOT_PROVEN
        return ChunkReuseStatus(False, f"{exact}: {failed}")
    record = found.record
    if record is not None and record.encodings != config.encodings:
        found = replace(found, record=None, problem="the record is about other encodings")
        record = None
    if record is None:
        lead = f"{found.problem}. " if found.problem else ""
        return ChunkReuseStatus(
            False,
            f"{reasons.NOT_CALIBRATED}: {lead}Nobody has measured how far this model drifts, so "
            f"only exact reuse is served. Run `{COMMAND}`, then start Larder again.",
        )
    details = _details(record, found)
    if not record.allowed:
        return ChunkReuseStatus(False, f"{reasons.NOT_CALIBRATED}: {record.summary}", details)
    if not covers(record, config.policy, config.ratio):
        return ChunkReuseStatus(
            False,
            f"{reasons.NOT_CALIBRATED}: the settings ask for the policy {config.policy} at ratio "
            f"{config.ratio:g}, which was not found to keep to the target of {record.target:g}. "
            f"Leave LARDER_REUSE_POLICY and LARDER_REUSE_RATIO out to get {record.policy} at "
            f"{record.ratio:g}, or run `{COMMAND} --policies {config.policy}`, then start again.",
            details,
        )
    return ChunkReuseStatus(True, f"calibrated: {record.summary}", details)


def covers(record: Calibration, policy: str, ratio: float) -> bool:
    """Whether the record stands for this: what it chose, or a row that kept to the target, at this
    ratio or a smaller one. `all` is the full prefill."""
    if policy == "all":
        return True
    if policy == record.policy and ratio >= record.ratio:
        return True
    rows = [
        row
        for name in ("searched", "confirmed")
        if isinstance(found := record.evidence.get(name), list)
        for row in found
    ]
    return any(
        row["policy"] == policy and row["ratio"] <= ratio and row["kl_high"] <= record.target
        for row in rows
    )


def _details(record: Calibration, found: Found) -> dict[str, object]:
    return {
        "origin": found.origin,
        "policy": record.policy,
        "ratio": record.ratio,
        "target": record.target,
        "evidence": dict(record.evidence),
    }
