"""Choose the next token from logits."""

import torch

from app.decoder.types import GenerationParams


class Sampler:
    """Greedy at temperature 0, else nucleus sampling with a generator of its own."""

    def __init__(self, params: GenerationParams) -> None:
        self._params = params
        self._generator = torch.Generator()
        if params.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(params.seed)

    def next_token(self, logits: torch.Tensor) -> int:
        """logits [V], any float dtype."""
        if self._params.temperature <= 0:
            return int(logits.argmax())
        probabilities = (logits.float().cpu() / self._params.temperature).softmax(-1)
        ordered, order = probabilities.sort(descending=True)
        # keep the first token that crosses top_p, and everything before it
        ordered[ordered.cumsum(-1) - ordered > self._params.top_p] = 0
        picked = torch.multinomial(ordered, 1, generator=self._generator)
        return int(order[picked])
