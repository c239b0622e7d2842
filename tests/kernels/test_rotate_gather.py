"""rotate_gather on the CPU: equal to transformers bit for bit, and nothing else is touched."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from kernels.rotate_gather import rotate_gather
from kernels.rotate_gather.naive import rotate_gather_naive

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
IDS = ["fp32", "fp16", "bf16"]
ROPE = {
    "default": {"rope_type": "default", "rope_theta": 100_000.0},
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 2048,
    },
}


def rotary_of(rope: str, head_size: int = 64) -> LlamaRotaryEmbedding:
    config = LlamaConfig(
        hidden_size=head_size,
        num_attention_heads=1,
        head_dim=head_size,
        max_position_embeddings=8192,
        rope_parameters=ROPE[rope],
    )
    return LlamaRotaryEmbedding(config)


def rotated_by_transformers(
    rotary: LlamaRotaryEmbedding, keys: torch.Tensor, start: int
) -> torch.Tensor:
    positions = torch.arange(start, start + keys.shape[2])[None]
    cos, sin = rotary(keys, positions)
    return apply_rotary_pos_emb(keys, keys, cos, sin)[1]


@pytest.mark.parametrize("dtype", DTYPES, ids=IDS)
@pytest.mark.parametrize("rope", sorted(ROPE))
@pytest.mark.parametrize("place", [rotate_gather, rotate_gather_naive], ids=["cpu", "naive"])
def test_equals_transformers_at_every_position(
    place: Callable[..., None], rope: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    rotary = rotary_of(rope)
    scaling = float(rotary.attention_scaling)
    assert (scaling == 1.0) == (rope == "default")
    keys = torch.randn(1, 3, 8192, 64).to(dtype)
    out = torch.full((1, 3, 8192, 64), float("nan"), dtype=dtype)
    if place is rotate_gather:
        rotate_gather(keys, rotary.inv_freq, out, 0, attention_scaling=scaling)
    else:
        rotate_gather_naive(keys, rotary.inv_freq, out, 0, scaling, None)
    assert torch.equal(out, rotated_by_transformers(rotary, keys, 0))


@pytest.mark.parametrize("dtype", DTYPES, ids=IDS)
@pytest.mark.parametrize("num_heads", [1, 3, 8])
@pytest.mark.parametrize(("num_rows", "start"), [(1, 8191), (37, 0), (221, 1501), (255, 7936)])
def test_chunks_at_their_place_equal_transformers(
    num_rows: int, start: int, num_heads: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(num_rows)
    rotary = rotary_of("default")
    keys = torch.randn(2, num_heads, num_rows, 64).to(dtype)
    out = torch.full((2, num_heads, 8192, 64), float("nan"), dtype=dtype)
    rotate_gather(keys, rotary.inv_freq, out, start)
    end = start + num_rows
    assert torch.equal(out[:, :, start:end], rotated_by_transformers(rotary, keys, start))
    assert torch.isnan(out[:, :, :start]).all()
    assert torch.isnan(out[:, :, end:]).all()


@pytest.mark.parametrize("head_size", [2, 10, 80, 256])
def test_unusual_head_sizes(head_size: int) -> None:
    rotary = rotary_of("default", head_size)
    keys = torch.randn(2, 2, 19, head_size)
    out = torch.empty(2, 2, 30, head_size)
    rotate_gather(keys, rotary.inv_freq, out, 11)
    assert torch.equal(out[:, :, 11:], rotated_by_transformers(rotary, keys, 11))


def test_chosen_rows_keep_their_order_and_fill_a_strided_destination() -> None:
    rotary = rotary_of("default")
    keys = torch.randn(2, 3, 21, 64)
    rows = torch.tensor([20, 0, 7, 7, 3])
    whole = torch.full((2, 3, 5, 40, 64), float("nan"))
    rotate_gather(keys, rotary.inv_freq, whole[:, :, 2], 30, rows=rows)
    expected = rotated_by_transformers(rotary, keys[:, :, rows], 30)
    assert torch.equal(whole[:, :, 2, 30:35], expected)
    assert int((~torch.isnan(whole)).sum()) == expected.numel()


def test_rotating_in_two_steps_equals_one() -> None:
    """Keys hold their rotation as a turn: by a and then by b is by a + b."""
    rotary = rotary_of("default")
    keys = torch.randn(1, 1, 1, 64)
    buffers = [torch.zeros(1, 1, 200, 64) for _ in range(3)]
    rotate_gather(keys, rotary.inv_freq, buffers[0], 150)
    rotate_gather(keys, rotary.inv_freq, buffers[1], 60)
    rotate_gather(buffers[1][:, :, 60:61].contiguous(), rotary.inv_freq, buffers[2], 90)
    torch.testing.assert_close(buffers[2][:, :, 90], buffers[0][:, :, 150], rtol=1e-5, atol=1e-5)


def test_position_zero_is_a_copy() -> None:
    keys = torch.randn(2, 2, 1, 64)
    out = torch.empty(2, 2, 1, 64)
    rotate_gather(keys, rotary_of("default").inv_freq, out, 0)
    assert torch.equal(out, keys)


@pytest.mark.parametrize("shape", [(2, 2, 0, 64), (0, 2, 5, 64)])
def test_nothing_to_place(shape: tuple[int, ...]) -> None:
    out = torch.full((shape[0], 2, 9, 64), float("nan"))
    rotate_gather(torch.empty(shape), torch.ones(32), out, 4)
    assert torch.isnan(out).all()


KEYS = torch.zeros(2, 3, 5, 8)
OUT = torch.zeros(2, 3, 20, 8)
INV_FREQ = torch.ones(4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"keys": KEYS[0]}, ValueError, "4 dimensions"),
        ({"out": OUT[None]}, ValueError, "4 dimensions"),
        ({"out": torch.zeros(2, 4, 20, 8)}, ValueError, "differ beyond rows"),
        ({"out": torch.zeros(2, 3, 20, 6)}, ValueError, "differ beyond rows"),
        ({"inv_freq": torch.ones(8)}, ValueError, "head size of 8"),
        ({"inv_freq": INV_FREQ.half()}, TypeError, "phases need float32"),
        ({"keys": KEYS.double(), "out": OUT.double()}, TypeError, "float64"),
        ({"out": OUT.half()}, TypeError, "float16"),
        ({"out": OUT.to("meta")}, ValueError, "meta"),
        ({"keys": KEYS.transpose(0, 1).contiguous().transpose(0, 1)}, ValueError, "contiguous"),
        ({"out": torch.zeros(2, 3, 8, 20).mT}, ValueError, "last stride"),
        ({"start": -1}, ValueError, "do not fit"),
        ({"start": 16}, ValueError, "16..21 do not fit a buffer of 20"),
        ({"rows": torch.arange(3, dtype=torch.int32)}, TypeError, "int64"),
        ({"rows": torch.zeros(1, 1, dtype=torch.int64)}, ValueError, "list on the cpu"),
        ({"rows": torch.tensor([0, 5])}, ValueError, "0..5 reach outside 5"),
        ({"rows": torch.tensor([-1])}, ValueError, "reach outside"),
    ],
)
def test_wrong_input_is_refused(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    arguments = {"keys": KEYS, "inv_freq": INV_FREQ, "out": OUT.clone(), "start": 0} | changes
    with pytest.raises(error, match=message):
        rotate_gather(**arguments)


def test_triton_is_not_imported_without_a_gpu() -> None:
    program = (
        "import sys, torch\n"
        "from kernels.rotate_gather import rotate_gather\n"
        "rotate_gather(torch.zeros(1, 1, 2, 4), torch.ones(2), torch.zeros(1, 1, 9, 4), 3)\n"
        "assert not any(name.split('.')[0] == 'triton' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)
