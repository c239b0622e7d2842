"""Calibration records: signed, refused where altered, and what a model may do with and without."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.decoder import calibration
from app.decoder.calibration import (
    KEY,
    Found,
    exported,
    find_calibration,
    from_json,
    portable_digest,
    read_signed,
    save_calibration,
    signed,
)
from app.decoder.load import load_decoder
from app.decoder.types import ChunkReuseStatus
from app.errors import InvalidCalibration
from app.settings import Settings
from kvstore import reasons
from kvstore.keys import ModelIdentity
from kvstore.memory_index import MemoryIndex
from tests.support.calibrated import CALIBRATION, calibrate_for
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio

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
RECORD = replace(CALIBRATION, identity=IDENTITY.digest)


async def test_a_record_is_found_again(records: DictRecords) -> None:
    assert await find_calibration(IDENTITY, records, SECRET) == Found(None, None)
    await save_calibration(RECORD, records, SECRET)
    kept = json.loads(json.dumps(records.kept[KEY + IDENTITY.digest]))
    records.kept[KEY + IDENTITY.digest] = kept
    assert await find_calibration(IDENTITY, records, SECRET) == Found(RECORD, "here")


@pytest.mark.parametrize(
    "edit",
    [
        {"ratio": 0.0},
        {"policy": "none"},
        {"allowed": False},
        {"target": 9.0},
        {"summary": "All is well."},
        {"evidence": {}},
        {"signature": "0" * 64},
        {"signature": None},
    ],
)
async def test_an_edited_record_counts_as_none(records: DictRecords, edit: dict) -> None:
    records.kept[KEY + IDENTITY.digest] = signed(RECORD, SECRET) | edit
    found = await find_calibration(IDENTITY, records, SECRET)
    assert found.record is None
    assert found.problem is not None
    assert "was edited" in found.problem


def test_another_secret_identity_or_version_counts_as_none() -> None:
    with pytest.raises(InvalidCalibration, match="another secret"):
        read_signed(signed(RECORD, SECRET), IDENTITY.digest, b"x" * 32)
    with pytest.raises(InvalidCalibration, match="another model"):
        read_signed(signed(RECORD, SECRET), "another", SECRET)
    body = calibration.to_json(RECORD)
    with pytest.raises(InvalidCalibration, match="version 0"):
        from_json(body | {"version": 0}, IDENTITY.digest)
    for wrong in ({"ratio": 2}, {"policy": "best"}, {"encodings": "head"}, {"evidence": []}):
        with pytest.raises(InvalidCalibration, match="cannot be read"):
            from_json(body | wrong, IDENTITY.digest)


def test_a_shipped_record_needs_the_pinned_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SHIPPED", tmp_path)
    data = exported(RECORD, IDENTITY)
    digest = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(calibration, "SHIPPED_DIGESTS", {"gone.json": "0", "tiny.json": digest})
    path = tmp_path / "tiny.json"
    path.write_bytes(data)
    found = calibration.find_shipped(IDENTITY)
    assert found == replace(RECORD, identity=portable_digest(IDENTITY))
    for rounding in ({"compute": "cuda"}, {"kv_dtype": "torch.bfloat16"}):
        assert calibration.find_shipped(replace(IDENTITY, **rounding)) == found
    for change in ({"weights": "x"}, {"template": "x"}, {"codec": "int8"}):
        assert calibration.find_shipped(replace(IDENTITY, **change)) is None
    path.write_bytes(data.replace(b'"ratio": 0.05', b'"ratio": 0.00'))
    assert calibration.find_shipped(IDENTITY) is None


async def test_a_record_made_here_beats_the_shipped_one(
    tmp_path: Path, records: DictRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = exported(RECORD, IDENTITY)
    (tmp_path / "tiny.json").write_bytes(data)
    monkeypatch.setattr(calibration, "SHIPPED", tmp_path)
    pins = {"tiny.json": hashlib.sha256(data).hexdigest()}
    monkeypatch.setattr(calibration, "SHIPPED_DIGESTS", pins)
    assert (await find_calibration(IDENTITY, records, SECRET)).origin == "shipped"
    refused = replace(RECORD, allowed=False, summary="Drift is too large.")
    await save_calibration(refused, records, SECRET)
    assert await find_calibration(IDENTITY, records, SECRET) == Found(refused, "here")


async def status_of(settings: Settings, records: DictRecords) -> ChunkReuseStatus:
    service = await load_decoder(settings, MemoryIndex(), records, SECRET)
    await service.close()
    return service.chunk_reuse()


async def test_without_a_record_only_exact_reuse_is_served(
    settings: Settings, records: DictRecords
) -> None:
    status = await status_of(settings, records)
    assert not status.allowed
    assert status.reason.startswith(f"{reasons.NOT_CALIBRATED}: Nobody has measured")
    assert "Run `larder calibrate`" in status.reason


async def test_with_a_record_its_policy_and_ratio_are_used(
    settings: Settings, records: DictRecords
) -> None:
    await calibrate_for(settings, records, SECRET, policy="seam", ratio=0.15)
    service = await load_decoder(settings, MemoryIndex(), records, SECRET)
    await service.close()
    status = service.chunk_reuse()
    assert status.allowed
    assert status.reason.startswith("calibrated: ")
    assert status.calibration is not None
    assert (status.calibration["origin"], status.calibration["ratio"]) == ("here", 0.15)
    config = service._engine.config  # type: ignore[union-attr]
    assert (config.policy, config.ratio) == ("seam", 0.15)


@pytest.mark.parametrize(
    ("policy", "ratio", "is_allowed"),
    [
        (None, None, True),
        (None, 0.3, True),  # more than was calibrated
        (None, 0.0, False),
        ("question", None, True),  # measured at 0.05 within the target
        ("question", 0.01, False),
        ("value_deviation", 0.5, False),  # measured, and drifted too far
        ("random", 0.15, False),  # never measured
        ("all", 1.0, True),
    ],
)
async def test_settings_beat_the_record_where_it_covers_them(
    settings: Settings, records: DictRecords, policy: str, ratio: float, *, is_allowed: bool
) -> None:
    searched = [
        {"policy": "question", "ratio": 0.05, "kl_high": 0.04},
        {"policy": "value_deviation", "ratio": 0.5, "kl_high": 0.06},
    ]
    evidence: dict[str, object] = {"searched": searched}
    await calibrate_for(settings, records, SECRET, policy="seam", ratio=0.15, evidence=evidence)
    chosen = settings.model_copy(update={"reuse_policy": policy, "reuse_ratio": ratio})
    service = await load_decoder(chosen, MemoryIndex(), records, SECRET)
    await service.close()
    status = service.chunk_reuse()
    assert status.allowed == is_allowed
    config = service._engine.config  # type: ignore[union-attr]
    assert config.policy == (policy or "seam")
    if not is_allowed:
        assert status.reason.startswith(f"{reasons.NOT_CALIBRATED}: the settings ask for")
        assert "larder calibrate --policies" in status.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"allowed": False, "summary": "Drift is too large."}, "Drift is too large."),
        ({"encodings": ("head",)}, "the record is about other encodings"),
    ],
)
async def test_a_record_that_says_no_or_speaks_of_something_else(
    settings: Settings, records: DictRecords, changes: dict, words: str
) -> None:
    await calibrate_for(settings, records, SECRET, **changes)
    status = await status_of(settings, records)
    assert not status.allowed
    assert status.reason.startswith(reasons.NOT_CALIBRATED)
    assert words in status.reason
