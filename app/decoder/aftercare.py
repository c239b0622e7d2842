"""What is done for the store once an answer is out. What goes wrong here is not the answer's."""

import logging
from collections.abc import Sequence

from app.decoder.types import DecodeRequest, Passage
from kvstore import reasons
from kvstore.reuse import ReuseEngine
from kvstore.types import PrefillReport, Segment
from kvstore.vote import BranchReport

logger = logging.getLogger(__name__)


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
