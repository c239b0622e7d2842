"""What a full prefill costs on this machine: a * N + b * N^2 milliseconds, measured once."""

from dataclasses import dataclass

import torch

from kvstore.device_clock import now
from kvstore.runner import ModelRunner

LENGTHS = (256, 768)
REPEATS = 3


@dataclass(frozen=True, slots=True)
class PrefillCost:
    ms_per_token: float
    ms_per_token_squared: float

    def estimate_ms(self, num_tokens: int) -> float:
        return num_tokens * (self.ms_per_token + self.ms_per_token_squared * num_tokens)

    def estimate_seconds(self, num_tokens: int) -> float:
        return self.estimate_ms(num_tokens) / 1000


def measure_prefill_cost(runner: ModelRunner) -> PrefillCost:
    """Best of several full prefills at two lengths, solved for the two constants (none below zero).

    The best, not the median: a busy machine must not make every later saving look larger.
    """
    short, long = (_best_ms(runner, n) for n in LENGTHS)
    n, m = LENGTHS
    squared = max(0.0, (long / m - short / n) / (m - n))
    return PrefillCost(max(0.0, long / m - squared * m), squared)


def _best_ms(runner: ModelRunner, num_tokens: int) -> float:
    ids = torch.arange(num_tokens, device=runner.device) % int(runner.model.config.vocab_size)
    times = []
    for _ in range(REPEATS):
        start = now(runner.device)
        runner.forward_all(ids, runner.new_cache(num_tokens))
        times.append((now(runner.device) - start) * 1000)
    return min(times)
