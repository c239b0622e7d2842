"""Chunks packed into one forward are what each would be alone; families that cannot be served."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from transformers import (
    AutoConfig,
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
)

from kvstore import reasons
from kvstore.cache import ScatterCache
from kvstore.config import ReuseConfig, StoreConfig
from kvstore.encode import Encoder, pack
from kvstore.errors import InvalidReuse, UnsupportedModel
from kvstore.families import KVLayout, check_supported
from kvstore.plain import PlainEngine
from kvstore.runner import ModelRunner
from kvstore.spare_buffers import SpareBuffers
from kvstore.types import ReuseOptions
from tests.support.tiny_models import SHAPE, draw_ids, ids_of, prompt_of


def test_packed_equals_alone(runner: ModelRunner) -> None:
    segments = [draw_ids(n, n) for n in (5, 17, 1, 30)]
    alone = Encoder(runner, pack_tokens=1)
    context = list(alone.encode([], [draw_ids(12, 50)]))
    together = Encoder(runner, pack_tokens=1000)
    for one, packed in zip(
        alone.encode(context, segments), together.encode(context, segments), strict=True
    ):
        assert torch.allclose(one.keys, packed.keys, atol=1e-5)
        assert torch.allclose(one.values, packed.values, atol=1e-5)


def test_packs_keep_order_and_limit() -> None:
    segments = [draw_ids(n, n) for n in (5, 5, 5, 20, 3, 3)]
    packs = list(pack(segments, 10, len))
    assert [s for batch in packs for s in batch] == segments
    assert [sum(map(len, batch)) for batch in packs] == [10, 5, 20, 6]
    assert list(pack([], 10, len)) == []


def test_rows_that_do_not_fit_are_refused() -> None:
    cache = ScatterCache(KVLayout(1, 1, 4), 8, torch.float32, torch.device("cpu"), SpareBuffers())
    with pytest.raises(ValueError, match="do not fit"):
        cache.expect(torch.tensor([8]), 9)
    with pytest.raises(ValueError, match="do not fit"):
        cache.expect(torch.tensor([5]), 5)


DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [2.0] * 4,
}
PARTIAL = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
MLA = {
    "vocab_size": 500,
    "hidden_size": 48,
    "intermediate_size": 96,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "max_position_embeddings": 512,
}
RECURRENT = {
    "vocab_size": 500,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 1,
    "lru_width": 48,
    "attention_window_size": 64,
}
UNSUPPORTED: dict[str, tuple[Callable[[], PreTrainedModel], str]] = {
    "dynamic": (
        lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=DYNAMIC)),
        "dynamic NTK changes the angles",
    ),
    "longrope": (
        lambda: Phi3ForCausalLM(Phi3Config(**SHAPE, pad_token_id=1, rope_parameters=LONGROPE)),
        "LongRoPE changes the angles",
    ),
    "partial": (lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=PARTIAL)), "partial"),
    "mrope": (
        lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, rope_parameters=MROPE)),
        "RoPE: M-RoPE gives a token several positions",
    ),
    "mla": (
        lambda: DeepseekV3ForCausalLM(DeepseekV3Config(**MLA)),
        "'deepseek_v3': multi-head latent attention",
    ),
    "mamba": (
        lambda: MambaForCausalLM(
            MambaConfig(vocab_size=500, hidden_size=16, num_hidden_layers=1, state_size=4)
        ),
        "'mamba': recurrent layers",
    ),
    "recurrent": (
        lambda: RecurrentGemmaForCausalLM(RecurrentGemmaConfig(**RECURRENT)),
        "'recurrent_gemma': recurrent layers",
    ),
    "gpt2": (lambda: GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1)), "not among"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_models_that_cannot_be_served_are_named_with_the_reason(name: str) -> None:
    build, reason = UNSUPPORTED[name]
    with pytest.raises(UnsupportedModel, match=reason):
        check_supported(build())


class MadeUp(PreTrainedConfig):  # type: ignore[misc]
    """Of a family that transformers does not know."""

    model_type = "made_up"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (AutoConfig.for_model("jamba"), "'jamba': recurrent layers"),
        (AutoConfig.for_model("falcon_mamba"), "'falcon_mamba': recurrent layers"),
        (AutoConfig.for_model("rwkv"), "'rwkv': recurrent layers"),
        (AutoConfig.for_model("lfm2"), "'lfm2': recurrent layers"),
        (AutoConfig.for_model("qwen3_next"), "'qwen3_next': recurrent layers"),
        (AutoConfig.for_model("mamba2"), "'mamba2': recurrent layers"),
        (AutoConfig.for_model("deepseek_v2"), "'deepseek_v2': multi-head latent attention"),
        (AutoConfig.for_model("qwen2_5_vl"), "'qwen2_5_vl': M-RoPE"),
        (AutoConfig.for_model("qwen3_vl"), "'qwen3_vl': M-RoPE"),
        (MadeUp(kv_lora_rank=256), "'made_up': multi-head latent attention"),
        (MadeUp(layer_types=["full_attention", "linear_attention"]), "'made_up': recurrent"),
        (
            MadeUp(rope_parameters={"rope_type": "x", "mrope_section": [4]}),
            "'made_up': M-RoPE",
        ),
        (MadeUp(), "'made_up': not among gemma2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_families_nobody_listed_are_refused_by_what_they_have(
    config: PreTrainedConfig, reason: str
) -> None:
    model = cast(PreTrainedModel, SimpleNamespace(config=config))
    with pytest.raises(UnsupportedModel, match=reason):
        check_supported(model)


@pytest.mark.parametrize("name", ["dynamic", "longrope", "mrope", "mla", "mamba", "recurrent"])
def test_they_work_without_chunk_reuse(name: str) -> None:
    torch.manual_seed(3)
    model = UNSUPPORTED[name][0]().eval()
    segments = prompt_of([draw_ids(30, 4)])
    engine = PlainEngine(model, reasons.MODEL_UNSUPPORTED)
    result = engine.prefill(segments, ReuseOptions(), capacity=100)
    answer = [int(result.logits.argmax())]
    for _ in range(5):
        answer.append(int(result.extend(answer[-1:])[-1].argmax()))
    with torch.inference_mode():
        ids = [*ids_of(segments), *answer[:-1]]
        plain = model(torch.tensor([ids])).logits[0, -6:].argmax(-1)
    assert plain.tolist() == answer
    assert result.report.reason == reasons.MODEL_UNSUPPORTED
    assert result.report.tokens.fresh == result.report.tokens.prompt


def test_settings_are_checked(tmp_path: object) -> None:
    with pytest.raises(InvalidReuse, match="between 0 and 1"):
        ReuseConfig(ratio=2.0)
    with pytest.raises(ValueError, match="zero or more"):
        StoreConfig(tmp_path, disk_bytes=-1)  # type: ignore[arg-type]
