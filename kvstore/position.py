"""Put un-rotated keys at their place in a prompt. Layer shapes only; knows no entries."""

import torch
from transformers import PreTrainedModel

from kernels.rotate_gather import rotate_gather
from kvstore.families import rotary_runs


class Rotator:
    """The model's own rotary embedding, applied to stored keys once, phases in fp32."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._runs = rotary_runs(model)

    def place(self, keys: torch.Tensor, out: torch.Tensor, start: int) -> None:
        """Rotate keys [L, G, n, D] to positions start..start+n-1 and write them into
        out [L, G, N, D] at those rows."""
        for run in self._runs:
            rotate_gather(
                keys[run.layers],
                run.inv_freq,
                out[run.layers],
                start,
                attention_scaling=run.scaling,
            )
