"""Calibration records: what `larder calibrate` found about one model, and who vouches for it.

A record made here is signed with the data directory's secret. One that came with the package is
pinned by digest in the code instead, since no secret is shared with the machine that made it.
Knows no model and no SQL.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from app.errors import InvalidCalibration
from kvstore.config import check_ratio
from kvstore.errors import InvalidReuse
from kvstore.keys import ModelIdentity
from kvstore.policies import find_policy

VERSION = 2  # raise it when what is measured changes: every older record then counts as none
KEY = "calibration:"  # before the identity, in the table of model records
SIGNED = b"larder calibration\0"  # apart from all else that is signed with the secret
SHIPPED = Path(__file__).parent / "calibrations"
# SHA-256 of each record that comes with the package; `larder calibrate --export` prints them.
SHIPPED_DIGESTS = {
    "smollm2-135m-instruct.json": (
        "42f9685547a9fbfc8ff21a680f18a15149a3f324d664f18ae1f8b1cb7e329b0f"
    ),
}
COMMAND = "larder calibrate"


class Records(Protocol):
    """app.db.model_records.ModelRecords."""

    async def get(self, identity: str) -> dict[str, object] | None: ...

    async def save(self, identity: str, record: Mapping[str, object]) -> None: ...


@dataclass(frozen=True, slots=True)
class Calibration:
    """The outcome for one identity. `target` bounds the mean drift, in nats a token."""

    identity: str  # digest of the model's, or `portable_digest` where it was shipped
    allowed: bool  # False where no policy kept to the target, or a proof failed
    summary: str  # one sentence
    policy: str
    ratio: float
    encodings: tuple[str, ...]
    target: float
    evidence: Mapping[str, object] = field(default_factory=dict)  # proofs, figures, machine


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about a model. `origin`: `here`, `shipped`, or None without a record."""

    record: Calibration | None
    origin: str | None
    problem: str | None = None  # why a record that lies there counts as none


async def find_calibration(identity: ModelIdentity, records: Records, secret: bytes) -> Found:
    """A valid record made on this data directory, else one that came with the package."""
    kept = await records.get(KEY + identity.digest)
    problem = None
    if kept is not None:
        try:
            return Found(read_signed(kept, identity.digest, secret), "here")
        except InvalidCalibration as error:
            problem = str(error)
    shipped = find_shipped(identity)
    return Found(shipped, "shipped" if shipped else None, problem)


async def save_calibration(record: Calibration, records: Records, secret: bytes) -> None:
    """Sign and keep; a second record of the same identity replaces the first."""
    await records.save(KEY + record.identity, signed(record, secret))


def signed(record: Calibration, secret: bytes) -> dict[str, object]:
    """The record as JSON with its version and signature."""
    body = to_json(record)
    return body | {"signature": _signature(body, secret)}


def read_signed(kept: Mapping[str, object], identity: str, secret: bytes) -> Calibration:
    """Raises InvalidCalibration where it was edited, is another model's or another version's."""
    body = {name: value for name, value in kept.items() if name != "signature"}
    if not hmac.compare_digest(str(kept.get("signature")), _signature(body, secret)):
        raise InvalidCalibration("the calibration record was edited, or made with another secret")
    return from_json(body, identity)


def to_json(record: Calibration) -> dict[str, object]:
    body: dict[str, object] = {"version": VERSION, **asdict(record)}
    body["encodings"] = list(record.encodings)
    return body


def from_json(body: Mapping[str, object], identity: str) -> Calibration:
    """Raises InvalidCalibration where it is not a record of this version about `identity`."""
    if body.get("version") != VERSION:
        raise InvalidCalibration(
            f"the calibration record is of version {body.get('version')}, not {VERSION}"
        )
    if body.get("identity") != identity:
        raise InvalidCalibration("the calibration record is about another model")
    try:
        return _from_json(body)
    except (KeyError, TypeError, ValueError, InvalidReuse) as error:
        raise InvalidCalibration(f"the calibration record cannot be read: {error!r}") from error


def _from_json(body: Mapping[str, object]) -> Calibration:
    encodings, evidence = body["encodings"], body["evidence"]
    if not isinstance(encodings, list) or not isinstance(evidence, dict):
        raise TypeError("encodings and evidence")
    return Calibration(
        identity=str(body["identity"]),
        allowed=body["allowed"] is True,
        summary=str(body["summary"]),
        policy=find_policy(str(body["policy"])).name,
        ratio=check_ratio(float(str(body["ratio"]))),
        encodings=tuple(str(encoding) for encoding in encodings),
        target=float(str(body["target"])),
        evidence=evidence,
    )


def find_shipped(identity: ModelIdentity) -> Calibration | None:
    """The packaged record about this model, if there is one and its bytes are the pinned ones."""
    wanted = portable_digest(identity)
    for name, digest in SHIPPED_DIGESTS.items():
        try:
            data = (SHIPPED / name).read_bytes()
        except FileNotFoundError:
            continue
        if hashlib.sha256(data).hexdigest() != digest:
            continue
        body = json.loads(data)
        if body.get("identity") == wanted:
            return from_json(body, wanted)
    return None


def portable_digest(identity: ModelIdentity) -> str:
    """The same on every machine: weights, config, tokenizer, template and codec, but not what
    computes, nor in which number type. They differ by rounding only, which the proofs look at here:
    bf16 moves a full prefill by 1.0e-3 nats from fp32, fp16 by 1.3e-5, of a target of 0.05."""
    return replace(identity, compute="any", kv_dtype="any").digest


def exported(record: Calibration, identity: ModelIdentity) -> bytes:
    """The bytes of a record that is to come with the package."""
    body = to_json(replace(record, identity=portable_digest(identity)))
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def _signature(body: Mapping[str, object], secret: bytes) -> str:
    """HMAC-SHA-256 over canonical JSON."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(secret, SIGNED + canonical.encode(), hashlib.sha256).hexdigest()
