"""Has drift gone over its limit? A sequential test that may be looked at after every request.

An e-detector (Shin, Ramdas, Rinaldo, arXiv 2203.03532) of the Shiryaev-Roberts kind: bounded
observations are bet on, and evidence grows only where their mean lies above the limit. It assumes
no distribution. While the mean drift is at the limit or below, false alarms come on average no
sooner than every ALARM_AT observations, however often one looks; well below it, practically never.
"""

import math

ALARM_AT = 100_000.0
# An observation counts for at most this many limits, so that one odd answer is no alarm: at the
# cap, seven answers in a row are.
CAP = 10.0
BETS = (1.0, 3.0, 6.0)  # each must be below CAP; small ones find small changes


class DriftDetector:
    """Feed it the mean KL of one answer after another; `limit` is in the same unit."""

    def __init__(self, limit: float) -> None:
        if limit <= 0:
            raise ValueError(f"the limit of drift must be above 0, got {limit}")
        self._limit = limit
        self._states = [0.0 for _ in BETS]

    @property
    def evidence(self) -> float:
        return sum(self._states) / len(self._states)

    @property
    def alarmed(self) -> bool:
        return self.evidence >= ALARM_AT

    def add(self, drift: float) -> bool:
        """Take in one observation; whether there is an alarm now. NaN counts as the worst."""
        share = 1.0 if math.isnan(drift) else min(drift / (CAP * self._limit), 1.0)
        for place, bet in enumerate(BETS):
            factor = 1.0 + bet * (share - 1.0 / CAP)
            # Above ten times the alarm nothing is decided; without a lid it would overflow.
            self._states[place] = min((self._states[place] + 1.0) * factor, 1e7)
        return self.alarmed
