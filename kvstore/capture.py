"""Read keys before rotation while the stock model runs.

Hooks on the family's key module (kvstore.families) see what the model is about to rotate, so the
captured rows are the model's own, bit for bit.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel

from kvstore.families import key_modules, key_rows


@contextmanager
def captured_keys(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Collect one tensor [G, rows, D] per layer from the next forward of batch size 1."""
    found: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        found.append(key_rows(model, output))

    with ExitStack() as hooks:
        for module in key_modules(model):
            handle = module.register_forward_hook(partial(keep))
            hooks.callback(handle.remove)
        yield found
