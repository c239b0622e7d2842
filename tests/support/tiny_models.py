"""Tiny random models of each family, and prompts of random ids for them."""

from collections.abc import Iterable

import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from kvstore.attention import register
from kvstore.frame import Frame
from kvstore.runner import ModelRunner
from kvstore.types import Segment

SHAPE = {
    "vocab_size": 500,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
WINDOW = 40  # shorter than a prompt here, longer than a segment
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "llama3-rope": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LLAMA3_ROPE)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE)),
    "yarn": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=YARN_ROPE)),
    "mistral-window": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=WINDOW)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SHAPE, pad_token_id=1)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SHAPE, sliding_window=WINDOW, query_pre_attn_scalar=8)
    ),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(
            **SHAPE,
            sliding_window=WINDOW,
            query_pre_attn_scalar=8,
            layer_types=[*["sliding_attention"] * 2, "full_attention", "sliding_attention"],
        )
    ),
}


def build_model(family: str) -> PreTrainedModel:
    """Random weights, large enough that attention is not flat and drift would show."""
    torch.manual_seed(7)
    model = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
    return model.requires_grad_(False).eval()


def draw_ids(count: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, 500, (count,), generator=generator).tolist())


FRAME = Frame(draw_ids(11, 1), (draw_ids(17, 2), draw_ids(13, 3)))


def chunk_segments(chunks: Iterable[tuple[int, ...]]) -> list[Segment]:
    return [Segment("chunk", ids) for ids in chunks]


def prompt_of(chunks: list[tuple[int, ...]], question: int = 9) -> list[Segment]:
    return [
        Segment("prefix", FRAME.prefix),
        *chunk_segments(chunks),
        Segment("question", draw_ids(question, 99)),
    ]


def ids_of(segments: list[Segment]) -> list[int]:
    return [token for segment in segments for token in segment.token_ids]


def build_runner(family: str) -> ModelRunner:
    model = build_model(family)
    model.set_attn_implementation(register())
    return ModelRunner(model)
