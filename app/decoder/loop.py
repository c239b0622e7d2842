"""The decode loop: from a prefilled prompt to text, token by token. Runs in a worker thread."""

from collections.abc import Callable, Iterator, Sequence

import torch

from app.decoder.sampling import Sampler
from app.decoder.tokenizer import Detokenizer, TextTokenizer
from app.decoder.types import Finished, FinishReason, GenerationParams, TokenText


def decode(
    logits: torch.Tensor,
    extend: Callable[[Sequence[int]], torch.Tensor],
    tokenizer: TextTokenizer,
    params: GenerationParams,
    end_ids: frozenset[int],
    is_cancelled: Callable[[], bool],
) -> Iterator[TokenText | Finished]:
    """Yield text as it becomes final, then Finished.

    `logits` [V] are of the prompt's last row; `extend` appends tokens and returns theirs [n, V].
    """
    sampler, text = Sampler(params), StopText(Detokenizer(tokenizer), params.stop)
    tokens: list[int] = []
    reason: FinishReason = "length"
    while len(tokens) < params.max_tokens:
        if is_cancelled():
            reason = "cancelled"
            break
        token = sampler.next_token(logits)
        if token in end_ids:
            reason = "stop"
            break
        tokens.append(token)
        if piece := text.push(token):
            yield TokenText(piece)
        if text.stopped or repeats(tokens):
            reason = "stop"
            break
        if len(tokens) < params.max_tokens:
            logits = extend([token])[-1]
    if piece := text.flush():
        yield TokenText(piece)
    yield Finished(reason, len(tokens))


def repeats(tokens: list[int]) -> bool:
    """Whether the end repeats itself: a small model that will not stop.

    A sentence (12 to 60 tokens) said twice in a row, or 4 to 11 tokens three times; shorter runs
    occur in tables and numbers.
    """
    return any(
        tokens[-size:] * (times - 1) == tokens[-times * size : -size]
        for size in range(4, 61)
        if len(tokens) >= (times := 3 if size < 12 else 2) * size
    )


class StopText:
    """Emits text up to the first stop string; holds back what could be the start of one."""

    def __init__(self, detokenizer: Detokenizer, stops: tuple[str, ...]) -> None:
        self._detokenizer = detokenizer
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        return self._emit(self._detokenizer.push(token), final=False)

    def flush(self) -> str:
        return "" if self.stopped else self._emit(self._detokenizer.flush(), final=True)

    def _emit(self, piece: str, *, final: bool) -> str:
        self._held += piece
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            text, self._held = self._held[: min(found)], ""
            return text
        keep = 0 if final else self._open_length()
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def _open_length(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = 0
        for stop in self._stops:
            for size in range(1, min(len(stop), len(self._held)) + 1):
                if self._held.endswith(stop[:size]):
                    longest = max(longest, size)
        return longest
