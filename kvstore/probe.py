"""Measurements on an assembled cache that policies choose by; each runs part of the model."""

from collections.abc import Sequence
from contextlib import suppress

import torch
from transformers.cache_utils import Cache, DynamicLayer

from kvstore.attention import AttentionRecorder, Places
from kvstore.cache import ScatterCache
from kvstore.runner import ModelRunner


class PromptProbes:
    """kvstore.protocols.Probes for one prompt of [N] ids whose Q starts at row `question`."""

    def __init__(
        self, runner: ModelRunner, token_ids: torch.Tensor, question: int, cache: ScatterCache
    ) -> None:
        self.runner = runner
        self.token_ids = token_ids
        self.question = question
        self.cache = cache
        self._fresh: list[torch.Tensor] = []  # of as many layers as were asked for

    def question_attention(self) -> torch.Tensor:
        """The upper two thirds of the layers: the lower ones attend by place, not by meaning."""
        num_layers = self.runner.layout.num_layers
        recorder = AttentionRecorder(range(num_layers // 3, num_layers))
        rows = torch.arange(self.question, len(self.token_ids), device=self.runner.device)
        self.runner.forward_rows(self.token_ids, rows, self.cache, recorder=recorder)
        assert recorder.mass is not None
        return recorder.mass

    def value_deviation(self, layers: Sequence[int]) -> torch.Tensor:
        if len(self._fresh) <= max(layers):
            self._fresh = first_values(self.runner, self.token_ids, max(layers))
        fresh = self._fresh
        deviation = torch.zeros(len(self.token_ids), device=self.runner.device)
        for layer in layers:
            self.cache.await_layer(layer)
            stored = self.cache.value_buffer[layer, 0, :, : len(self.token_ids)]
            deviation += (fresh[layer] - stored).float().square().sum(dim=(0, 2))
        return deviation


class _Enough(Exception):
    """Raised by the cache once the last wanted layer has its values: ends the forward early."""


class _ProbeLayer(DynamicLayer):  # type: ignore[misc]
    def __init__(self, last: bool) -> None:
        super().__init__()
        self.last = last

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        super().update(key_states, value_states, *args, **kwargs)
        if self.last:
            raise _Enough
        return self.keys, self.values


@torch.inference_mode()
def first_values(
    runner: ModelRunner, token_ids: torch.Tensor, last_layer: int
) -> list[torch.Tensor]:
    """Fresh values [G, N, D] of layers 0..last_layer, all tokens computed, later layers not run."""
    layers = [_ProbeLayer(last=i == last_layer) for i in range(last_layer + 1)]
    positions = torch.arange(len(token_ids), device=runner.device)
    with suppress(_Enough):
        runner.model(
            input_ids=token_ids[None],
            position_ids=positions[None],
            past_key_values=Cache(layers=layers),
            use_cache=True,
            places=Places(positions, positions),
        )
    return [layer.values[0] for layer in layers]
