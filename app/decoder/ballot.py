"""Decode several prompts side by side, a token each at a time. Runs in a worker thread."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch

from app.decoder.loop import StopText, repeats
from app.decoder.sampling import Sampler
from app.decoder.tokenizer import Detokenizer, TextTokenizer
from app.decoder.types import FinishReason, GenerationParams, Voted


class Ballot(Protocol):
    """kvstore.vote.Ballot, or kvstore.plain.PlainBallot."""

    open: list[int]
    logits: torch.Tensor

    def close(self, branch: int) -> None: ...

    def extend(self, tokens: Sequence[int]) -> None: ...


def count_votes(
    ballot: Ballot,
    params: Sequence[GenerationParams],
    tokenizer: TextTokenizer,
    end_ids: frozenset[int],
    is_cancelled: Callable[[], bool],
) -> Iterator[Voted]:
    """Yield each branch's answer as it ends; a cancelled vote yields what was said so far."""
    speakers = [_Speaker(branch, p, tokenizer, end_ids) for branch, p in enumerate(params)]
    while ballot.open:
        if is_cancelled():
            yield from (speakers[branch].ended("cancelled") for branch in ballot.open)
            return
        said = {
            branch: speakers[branch].say(logits)
            for branch, logits in zip(ballot.open, ballot.logits, strict=True)
        }
        for branch, token in said.items():
            if token is None:
                ballot.close(branch)
                yield speakers[branch].ended()
        tokens = [token for branch in ballot.open if (token := said[branch]) is not None]
        if tokens:
            ballot.extend(tokens)


class _Speaker:
    """One branch: its sampler, and what it has said."""

    def __init__(
        self,
        branch: int,
        params: GenerationParams,
        tokenizer: TextTokenizer,
        end_ids: frozenset[int],
    ) -> None:
        self._branch = branch
        self._sampler = Sampler(params)
        self._text = StopText(Detokenizer(tokenizer), params.stop)
        self._max_tokens = params.max_tokens
        self._end_ids = end_ids
        self._tokens: list[int] = []
        self._pieces: list[str] = []
        self._reason: FinishReason = "length"

    def say(self, logits: torch.Tensor) -> int | None:
        """Choose a token from logits [V]; None where nothing follows it."""
        token = self._sampler.next_token(logits)
        if token in self._end_ids:
            self._reason = "stop"
            return None
        self._tokens.append(token)
        self._pieces.append(self._text.push(token))
        if self._text.stopped or repeats(self._tokens):
            self._reason = "stop"
            return None
        return token if len(self._tokens) < self._max_tokens else None

    def ended(self, reason: FinishReason | None = None) -> Voted:
        self._pieces.append(self._text.flush())
        text = "".join(self._pieces)
        return Voted(self._branch, text, reason or self._reason, len(self._tokens))
