"""What is done for the store beside an answer. What goes wrong here is not the answer's."""

import logging
from collections.abc import Sequence
from typing import TypeVar

from app.decoder.types import DecodeRequest, Passage, Prefilled, VotePrefilled
from kvstore import reasons
from kvstore.reuse import ReuseEngine
from kvstore.saving import saved_ms
from kvstore.store import KVStore
from kvstore.types import PrefillReport, ReuseMode, Segment
from kvstore.vote import BranchReport

logger = logging.getLogger(__name__)

Told = TypeVar("Told", Prefilled, VotePrefilled)


def noted(store: KVStore, mode: ReuseMode, told: Told) -> Told:
    """Count what a request in `mode` saved, a whole vote at once, and hand on what is told."""
    reports = (told.report,) if isinstance(told, Prefilled) else told.reports
    from_store = sum(report.tokens.exact_prefix + report.tokens.reused for report in reports)
    store.note_saved(saved_ms(mode, from_store, told.prefill_ms, told.full_prefill_ms_estimate))
    return told


def mend(
    engine: ReuseEngine, segments: Sequence[Segment], report: PrefillReport | BranchReport
) -> None:
    """Encode again what was found damaged; a store or a database that refuses is only logged."""
    try:
        engine.repair(segments, report)
    except Exception:
        logger.exception("damaged entries could not be encoded again")


def missed(request: DecodeRequest, report: PrefillReport) -> list[Passage]:
    """The passages that were not stored."""
    chunks = [segment for segment in report.segments if segment.kind == "chunk"]
    return [
        passage
        for passage, told in zip(request.passages, chunks, strict=True)
        if told.reason == reasons.NOT_STORED
    ]
