"""Compare what was served with a full prefill of the same prompt, in steps that can be put off.

Between two steps a caller may serve somebody else: nothing is kept but the check's own cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from kvstore.column_bias import ColumnBias
from kvstore.device_clock import now
from kvstore.runner import ModelRunner
from kvstore.types import Segment

STEP_ROWS = 128  # 0.2 to 0.5 s of the bundled model on two cores: what a question may wait for
MAX_TOKENS = 32  # of an answer; 33 rows of logits are 6 MB with 49,152 tokens in the vocabulary


@dataclass(frozen=True, slots=True)
class Drift:
    """Teacher-forced on the served answer. `kl` is in nats, the mean over `num_tokens` places."""

    kl: float
    top1_agreement: float
    num_tokens: int
    full_ms: float  # of computing the prompt in full, waiting between steps left out


@dataclass(slots=True)
class AnswerRecorder:
    """Stands in for `Prefilled.extend` and keeps the first tokens with the logits behind them."""

    first: torch.Tensor  # [V], of the prompt's last row
    inner: Callable[[Sequence[int]], torch.Tensor]
    tokens: list[int] = field(default_factory=list)
    rows: list[torch.Tensor] = field(default_factory=list)
    _is_open: bool = True

    def extend(self, tokens: Sequence[int]) -> torch.Tensor:
        logits = self.inner(tokens)
        # Several at once are guesses, of which some may be taken back: what follows is not kept.
        self._is_open = self._is_open and len(tokens) == 1 and len(self.tokens) < MAX_TOKENS
        if self._is_open:
            self.tokens.extend(tokens)
            self.rows.append(logits[-1])
        return logits

    def logits(self) -> torch.Tensor:
        """[1 + tokens, V]."""
        return torch.stack([self.first, *self.rows])


def check_steps(
    runner: ModelRunner, prompt: Sequence[Segment], answer: Sequence[int], served: torch.Tensor
) -> Iterator[Drift | None]:
    """None after each step but the last, which yields the outcome.

    prompt: with the biases that the served answer had.
    served: logits [1 + len(answer), V], before each token of the answer and after the last.
    """
    tokens = [token for segment in prompt for token in segment.token_ids]
    ids = torch.tensor(tokens, device=runner.device)
    cache = runner.new_cache(len(tokens) + len(answer))
    cache.bias = ColumnBias.of(prompt, runner.device)
    spent = 0.0
    for start in range(0, len(tokens), STEP_ROWS):
        began = now(runner.device)
        end = min(start + STEP_ROWS, len(tokens))
        rows = torch.arange(start, end, device=runner.device)
        last = runner.forward_rows(ids[:end], rows, cache)[-1:]
        spent += now(runner.device) - began
        yield None
    full = torch.cat([last, runner.append(answer, cache)]) if answer else last
    yield _compare(full, served, spent * 1000)


def _compare(full: torch.Tensor, served: torch.Tensor, full_ms: float) -> Drift:
    """Row by row: a large vocabulary in float64 takes 2 MB a row."""
    total = 0.0
    for want, got in zip(full, served, strict=True):
        p, q = want.double().log_softmax(-1), got.double().log_softmax(-1)
        total += float((p.exp() * (p - q)).sum())
    agreement = (full.argmax(-1) == served.argmax(-1)).double().mean()
    # Rounding can leave the divergence of equal rows a little below zero.
    return Drift(max(0.0, total / len(full)), float(agreement), len(full), full_ms)
