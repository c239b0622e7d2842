"""Which model families chunk reuse can serve, and where their un-rotated keys can be read.

A new family is one line in KEY_MODULES after its tests pass (CONTRIBUTING.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from kvstore.errors import UnsupportedModel

# Last module of an attention layer whose output is the key before rotation.
KEY_MODULES = {"llama": "k_proj", "mistral": "k_proj", "qwen2": "k_proj", "qwen3": "k_norm"}

# RoPE types whose angles depend on the position alone; dynamic NTK depends on the length seen.
STATIC_ROPE = ("default", "linear", "llama3")


@dataclass(frozen=True, slots=True)
class KVLayout:
    num_layers: int
    num_kv_heads: int
    head_dim: int


def check_supported(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel with the reason when chunk reuse cannot serve `model`."""
    config = model.config
    if config.model_type not in KEY_MODULES:
        known = ", ".join(sorted(KEY_MODULES))
        raise UnsupportedModel(f"model type {config.model_type!r} is not among {known}")
    rope = config.rope_parameters
    if "rope_type" not in rope or rope["rope_type"] not in STATIC_ROPE:
        raise UnsupportedModel(f"RoPE type {rope.get('rope_type')!r} is not among {STATIC_ROPE}")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise UnsupportedModel("only part of each head is rotated (partial RoPE)")
    if _has_sliding_layers(model):
        raise UnsupportedModel(f"sliding-window attention of {config.sliding_window} tokens")


def _has_sliding_layers(model: PreTrainedModel) -> bool:
    config = model.config
    layer_types = getattr(config, "layer_types", None)
    if layer_types is not None:
        return "sliding_attention" in layer_types
    window: int | None = getattr(config, "sliding_window", None)
    return window is not None and getattr(config, "use_sliding_window", True)


def layout_of(model: PreTrainedModel) -> KVLayout:
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return KVLayout(config.num_hidden_layers, config.num_key_value_heads, head_dim)


def key_modules(model: PreTrainedModel) -> Iterator[nn.Module]:
    """The modules of KEY_MODULES, layer by layer."""
    name = KEY_MODULES[model.config.model_type]
    for layer in model.get_decoder().layers:
        yield getattr(layer.self_attn, name)


def rotary_of(model: PreTrainedModel) -> tuple[torch.Tensor, float]:
    """(inverse frequencies [D/2] float32, factor on cos and sin) as the model itself uses them."""
    rotary = model.get_decoder().rotary_emb
    return rotary.inv_freq.float(), float(rotary.attention_scaling)
