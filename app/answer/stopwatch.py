"""How long each step of one answer took, under the names docs/api.md gives them."""

import time

from app.decoder.types import Prefilled, VotePrefilled

STEPS = ("queue", "retrieve", "assess", "lookup", "load", "rotate", "probe", "prefill", "ttft")


class Stopwatch:
    """Starts when made. A step that did not happen took 0 ms."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._has_text = False
        self._ms = dict.fromkeys(STEPS, 0.0)

    def lap(self, step: str) -> None:
        """The time since the lap before belongs to `step`."""
        now = time.perf_counter()
        self._ms[step] = 1000 * (now - self._last)
        self._last = now

    def note_prefill(self, prefilled: Prefilled) -> None:
        self._ms |= prefilled.report.timings_ms
        self._ms["queue"] = prefilled.queue_ms
        self._ms["ttft"] = self._since_start()  # stands where the model says nothing at all

    def note_vote(self, prefilled: VotePrefilled) -> None:
        """A vote may be prefilled in several rounds; the wait before the first is the queue's."""
        self._ms["queue"] = self._ms["queue"] or prefilled.queue_ms
        self._ms["prefill"] += prefilled.prefill_ms

    def note_text(self) -> None:
        if not self._has_text:
            self._ms["ttft"] = self._since_start()
            self._has_text = True

    def timings_ms(self) -> dict[str, float]:
        """Rounded to a microsecond, so that what is stored equals what was sent."""
        timings = self._ms | {"total": self._since_start()}
        return {step: round(milliseconds, 3) for step, milliseconds in timings.items()}

    def _since_start(self) -> float:
        return 1000 * (time.perf_counter() - self._start)
