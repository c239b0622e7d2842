"""Put un-rotated keys at their place in a prompt. Layer shapes only; knows no entries."""

import torch
from transformers import PreTrainedModel

from kernels.rotate_gather import rotate_gather
from kvstore.families import rotary_runs


class Rotator:
    """The model's own rotary embedding, applied to stored keys once, phases in fp32."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._runs = rotary_runs(model)

    def place(self, keys: torch.Tensor, out: torch.Tensor, start: int, first: int = 0) -> None:
        """Rotate keys [l, G, n, D] of the layers from `first` on to positions start..start+n-1 and
        write them into out [l, G, N, D] at those rows."""
        for run in self._runs:
            begin = max(run.layers.start - first, 0)
            end = min(run.layers.stop - first, len(keys))
            if begin < end:
                rotate_gather(
                    keys[begin:end],
                    run.inv_freq,
                    out[begin:end],
                    start,
                    attention_scaling=run.scaling,
                )
