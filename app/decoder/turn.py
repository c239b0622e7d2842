"""One question's turn on the model: what was drawn for it, and what is kept to look back on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.decoder.types import DecodeRequest, Passage
from app.decoder.watch import Lot
from kvstore import reasons
from kvstore.full_check import AnswerRecorder
from kvstore.reuse import Prefilled
from kvstore.types import PrefillReport, ReuseOptions, Segment


@dataclass(slots=True)
class Turn:
    """`refusal` is a reason code, or None."""

    request: DecodeRequest
    lot: Lot
    refusal: str | None
    recorder: AnswerRecorder | None = None  # where the answer is to be checked
    prompt: Sequence[Segment] = ()
    first_token_ms: float | None = None  # since it was submitted

    @property
    def options(self) -> ReuseOptions:
        if self.refusal is not None:
            return replace(self.request.reuse, mode="exact")
        if self.lot.arm == "off":
            return replace(self.request.reuse, mode="off")
        return self.request.reuse

    def note(
        self, segments: Sequence[Segment], prefilled: Prefilled, first_token_ms: float
    ) -> None:
        """The prompt is in the cache. What reused nothing that can drift has nothing to check."""
        self.first_token_ms = first_token_ms
        tokens = prefilled.report.tokens
        if self.lot.watched and tokens.reused + tokens.recomputed > 0:
            self.prompt = segments
            self.recorder = AnswerRecorder(prefilled.logits, prefilled.extend)

    def told(self, report: PrefillReport) -> PrefillReport:
        """The report with the real reason: the mode was chosen for the request, not by it."""
        if self.refusal is not None:
            return _relabel(report, reasons.MODE_EXACT, self.refusal)
        if self.lot.arm == "off":
            return _relabel(report, reasons.MODE_OFF, reasons.HOLDOUT)
        return report


def _relabel(report: PrefillReport, old: str, new: str) -> PrefillReport:
    return replace(
        report,
        mode="auto",
        reason=new if report.reason == old else report.reason,
        segments=tuple(
            replace(segment, reason=new) if segment.reason == old else segment
            for segment in report.segments
        ),
    )


def to_segment(passage: Passage) -> Segment:
    return Segment("chunk", passage.token_ids, passage.primers, passage.bias)
