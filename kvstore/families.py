"""Which model families chunk reuse can serve, and where their un-rotated keys can be read.

A new family is one line in KEY_SOURCES after its tests pass (CONTRIBUTING.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from kvstore.errors import UnsupportedModel


@dataclass(frozen=True, slots=True)
class KeySource:
    """Last module of an attention layer whose output holds the key before rotation.

    form: `rows` [1, n, G * D] or [1, n, G, D]; `heads` [1, G, n, D]; `fused` [1, n, (H + 2 G) * D],
    query, key and value side by side.
    """

    module: str
    form: Literal["rows", "heads", "fused"] = "rows"


KEY_SOURCES = {
    "llama": KeySource("k_proj"),
    "mistral": KeySource("k_proj"),
    "qwen2": KeySource("k_proj"),
    "qwen3": KeySource("k_norm"),
    "phi3": KeySource("qkv_proj", "fused"),
    "gemma2": KeySource("k_proj"),
    "gemma3_text": KeySource("k_norm", "heads"),
}

# RoPE types whose angles depend on the position alone.
STATIC_ROPE = ("default", "linear", "llama3", "yarn")
REFUSED_ROPE = {
    "dynamic": "dynamic NTK changes the angles with the length seen",
    "longrope": "LongRoPE changes the angles with the length seen",
}
MLA = "multi-head latent attention keeps a latent instead of keys"
RECURRENT = "recurrent layers keep a state instead of keys"
MROPE = "M-RoPE gives a token several positions"
REFUSED_TYPES = {  # of which no setting below tells, or not in every configuration
    "qwen2_vl": MROPE,
    "qwen2_5_vl": MROPE,
    "qwen3_vl": MROPE,
    "rwkv": RECURRENT,
}
# What a configuration calls the parts that chunk reuse cannot serve; in this order.
MLA_SETTINGS = ("kv_lora_rank",)
STATE_SETTINGS = (
    "state_size",
    "ssm_state_size",
    "mamba_d_state",
    "mamba_num_heads",
    "linear_num_value_heads",
    "linear_conv_kernel_dim",
    "lru_width",
    "conv_L_cache",
)
STATE_LAYERS = ("mamba", "recurrent", "linear", "conv", "ssm")
WHOLE_MODEL = "full_attention"  # the layer type of models that know none


@dataclass(frozen=True, slots=True)
class KVLayout:
    num_layers: int
    num_kv_heads: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class LayerRun:
    """Neighbouring layers that rotate alike, `inv_freq` [D/2] float32, `scaling` on cos and sin."""

    layers: slice
    inv_freq: torch.Tensor
    scaling: float


def check_supported(model: PreTrainedModel) -> None:
    """Raise UnsupportedModel with the reason when chunk reuse cannot serve `model`."""
    config = model.config
    if config.model_type not in KEY_SOURCES:
        raise UnsupportedModel(f"model type {config.model_type!r}: {_why_not(config)}")
    unknown = set(layer_types(model)) - {WHOLE_MODEL, "sliding_attention"}
    if unknown:
        raise UnsupportedModel(f"layers of type {', '.join(sorted(unknown))}")
    if getattr(config, "use_bidirectional_attention", False):
        raise UnsupportedModel("attention that looks ahead")
    for rope in _rope_parameters(model):
        kind = rope.get("rope_type")
        if kind not in STATIC_ROPE:
            reason = REFUSED_ROPE.get(str(kind), f"{kind!r} is not among {', '.join(STATIC_ROPE)}")
            raise UnsupportedModel(f"RoPE: {reason}")
        if rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise UnsupportedModel("only part of each head is rotated (partial RoPE)")
        if "mrope_section" in rope:
            raise UnsupportedModel(f"RoPE: {MROPE}")


def _why_not(config: PreTrainedConfig) -> str:
    """What a model of another type has that stands in the way, by the names of its settings."""
    text = config.get_text_config()

    def states(names: Sequence[str]) -> bool:
        return any(getattr(text, name, None) for name in names)

    if config.model_type in REFUSED_TYPES:
        return REFUSED_TYPES[config.model_type]
    if states(MLA_SETTINGS):
        return MLA
    layers = [
        str(kind)
        for name in ("layer_types", "layers_block_type", "block_types", "attention_types")
        for kind in getattr(text, name, None) or ()
    ]
    if states(STATE_SETTINGS) or any(part in kind for kind in layers for part in STATE_LAYERS):
        return RECURRENT
    if "mrope_section" in (getattr(text, "rope_parameters", None) or {}):
        return MROPE
    return f"not among {', '.join(sorted(KEY_SOURCES))}"


def _rope_parameters(model: PreTrainedModel) -> list[dict[str, object]]:
    """One for each kind of layer, or one for all."""
    rope = model.config.rope_parameters
    if "rope_type" in rope:
        return [rope]
    return [rope[name] for name in sorted(set(layer_types(model)))]


def layer_types(model: PreTrainedModel) -> Sequence[str]:
    """`full_attention` or `sliding_attention` for each layer."""
    config = model.config
    stated: Sequence[str] | None = getattr(config, "layer_types", None)
    return stated or [WHOLE_MODEL] * config.num_hidden_layers


def layout_of(model: PreTrainedModel) -> KVLayout:
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return KVLayout(config.num_hidden_layers, config.num_key_value_heads, head_dim)


def key_modules(model: PreTrainedModel) -> Iterator[nn.Module]:
    """The modules of KEY_SOURCES, layer by layer."""
    name = KEY_SOURCES[model.config.model_type].module
    for layer in model.get_decoder().layers:
        yield getattr(layer.self_attn, name)


def key_rows(model: PreTrainedModel, output: torch.Tensor) -> torch.Tensor:
    """Keys [G, n, D] in what a module of `key_modules` returned for one prompt."""
    layout = layout_of(model)
    size = layout.num_kv_heads * layout.head_dim
    form = KEY_SOURCES[model.config.model_type].form
    if form == "heads":
        return output[0].contiguous()
    if form == "fused":
        first = model.config.num_attention_heads * layout.head_dim
        output = output[..., first : first + size]
    rows = output.reshape(-1, layout.num_kv_heads, layout.head_dim)
    return rows.transpose(0, 1).contiguous()


def rotary_runs(model: PreTrainedModel) -> list[LayerRun]:
    """How each layer rotates, as the model itself does."""
    rotary = model.get_decoder().rotary_emb
    runs, start = [], 0
    by_type = not hasattr(rotary, "inv_freq")  # Gemma 3: another base for each kind of layer
    kinds = layer_types(model) if by_type else [WHOLE_MODEL] * layout_of(model).num_layers
    for kind, group in groupby(kinds):
        end = start + len(list(group))
        prefix = f"{kind}_" if by_type else ""
        inv_freq: torch.Tensor = getattr(rotary, f"{prefix}inv_freq")
        scaling = float(getattr(rotary, f"{prefix}attention_scaling"))
        runs.append(LayerRun(slice(start, end), inv_freq.float(), scaling))
        start = end
    return runs
