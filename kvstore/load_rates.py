"""Whether loading an entry pays: what each tier was seen to deliver against what computing costs.

Knows names, counts and seconds. A tier that lost is asked again after a while, because what made it
slow may have passed.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WEIGHT = 0.2  # of the newest load in the moving average: five loads forget most of what was
MIN_LOADS = 3  # before a tier is judged
RETRY_S = 60.0


@dataclass(slots=True)
class _Tier:
    seconds_a_token: float = 0.0
    bytes_a_second: float = 0.0
    num_loads: int = 0
    asked_at: float = float("-inf")  # monotonic


class LoadRates:
    """Safe to share between threads. `seconds_of` tokens: what computing them costs; zero where
    nothing is known, which judges no tier."""

    def __init__(self, seconds_of: Callable[[int], float], retry_s: float = RETRY_S) -> None:
        self.seconds_of = seconds_of
        self._retry_s = retry_s
        self._tiers: dict[str, _Tier] = {}
        self._lock = threading.Lock()

    def loaded(self, tier: str, num_bytes: int, num_tokens: int, seconds: float) -> None:
        """An entry came from `tier`, decoded and checked, after `seconds`."""
        with self._lock:
            known = self._tiers.setdefault(tier, _Tier())
            weight = max(WEIGHT, 1 / (known.num_loads + 1))  # a plain mean of the first five
            known.seconds_a_token += weight * (seconds / num_tokens - known.seconds_a_token)
            rate = num_bytes / max(seconds, 1e-9)
            known.bytes_a_second += weight * (rate - known.bytes_a_second)
            known.num_loads += 1

    def is_slower(self, tier: str, num_tokens: int) -> bool:
        """Whether computing so many tokens is faster than loading them; False once in `retry_s`, so
        that the tier can show that it has recovered."""
        to_compute = self.seconds_of(num_tokens)
        with self._lock:
            known = self._tiers.get(tier)
            if known is None or known.num_loads < MIN_LOADS or to_compute <= 0:
                return False
            if known.seconds_a_token * num_tokens <= to_compute:
                return False
            now = time.monotonic()
            if now - known.asked_at < self._retry_s:
                return True
            known.asked_at = now
            return False

    def saved(self, num_tokens: int, seconds: float) -> float:
        """Seconds that loading in `seconds` saved against computing; none below zero."""
        return max(0.0, self.seconds_of(num_tokens) - seconds)

    def bytes_a_second(self) -> dict[str, float]:
        """By tier, of what was loaded so far."""
        with self._lock:
            return {name: tier.bytes_a_second for name, tier in self._tiers.items()}
