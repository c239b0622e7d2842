"""A calibration record for a model of a test, signed as `larder calibrate` signs one."""

from dataclasses import replace
from pathlib import Path

from app.decoder.calibration import Calibration, Records, save_calibration
from app.decoder.identity import identify
from app.decoder.load import choose_dtype, read_model
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.settings import Settings
from kvstore.config import ReuseConfig

EVIDENCE: dict[str, object] = {"confirmed": {"kl_mean": 0.01, "kl_high": 0.02, "n": 24}}
CALIBRATION = Calibration(
    identity="",
    allowed=True,
    summary="The policy question at ratio 0.05 keeps drift below 0.05.",
    policy="question",
    ratio=0.05,
    encodings=ReuseConfig().encodings,
    target=0.05,
    evidence=EVIDENCE,
)


async def calibrate_for(
    settings: Settings, records: Records, secret: bytes, **changes: object
) -> Calibration:
    """Save a record for the configured model, a folder; `changes` replace its fields."""
    directory = Path(settings.model)
    model = read_model(directory, choose_dtype(settings.dtype))
    template = PromptTemplate.load(directory, TextTokenizer(directory))
    identity = identify(model, directory, template, codec=settings.kv_codec)
    record = replace(CALIBRATION, identity=identity.digest, **changes)  # type: ignore[arg-type]
    await save_calibration(record, records, secret)
    return record
