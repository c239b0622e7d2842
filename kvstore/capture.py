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

from kvstore.families import key_modules, layout_of


@contextmanager
def captured_keys(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Collect one tensor [G, rows, D] per layer from the next forward of batch size 1."""
    layout = layout_of(model)
    found: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        rows = output.reshape(-1, layout.num_kv_heads, layout.head_dim)
        found.append(rows.transpose(0, 1).contiguous())

    with ExitStack() as hooks:
        for module in key_modules(model):
            handle = module.register_forward_hook(partial(keep))
            hooks.callback(handle.remove)
        yield found
