"""Exactness proofs that a loaded model must pass before its chunks are reused (kv_reuse.md 5.10).

They run on token ids drawn at random, in seconds, and say which proof failed and by how much. P6 to
P8 concern the store (store_proofs.py); P9 needs questions (app/evaluation/calibrate.py).
"""

from dataclasses import asdict, dataclass

import torch
from transformers import PreTrainedConfig

from kvstore.cache import ScatterCache
from kvstore.capture import captured_keys
from kvstore.encode import Encoder, Rows, fill_cache
from kvstore.families import layout_of
from kvstore.position import Rotator
from kvstore.runner import ModelRunner

LONG = 1024  # tokens; the longest prompt that P1 and P5 run over where there is no window
BEYOND = 128  # tokens past a window
LONGEST = 2048  # with a window; a full prefill of 4,224 takes a 7B model minutes without a GPU
FAR_ROWS = 32
FARTHEST = 8192  # rows of empty cache: 380 MB for the bundled model in fp32
# Largest difference of logits that rounding may cause, relative to their spread. The floor on
# SmolLM2-135M, 32 rows of a real text: fp32 against itself in other tiles 1.4e-6, fp16 against fp32
# 2.3e-3, bf16 against fp32 1.4e-2.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 6e-2}
# Largest mean KL over an answer's tokens that rounding may cause, in nats. The same floor: fp32
# 5e-12 in the mean and 5e-11 at worst, fp16 1.3e-5 and 3.2e-5, bf16 1.0e-3 and 3.4e-3.
KL_TOLERANCE = {torch.float32: 1e-8, torch.float16: 1e-4, torch.bfloat16: 1e-2}


@dataclass(frozen=True, slots=True)
class Proof:
    name: str
    passed: bool
    deviation: float  # largest relative difference seen, 0 where the proof is yes or no

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def prove(runner: ModelRunner, *, num_tokens: int = 96, seed: int = 0) -> list[Proof]:
    """Run P1 to P5 on `runner`'s model; P1 and P5 over a long prompt, and all of them past its
    sliding window where it has one."""
    generator = torch.Generator().manual_seed(seed)
    config = runner.model.config
    length = max(num_tokens, _long_prompt(config))
    long = torch.randint(0, int(config.vocab_size), (length,), generator=generator)
    long = long.to(runner.device)
    window = _window(config)
    ids = long[: max(num_tokens, window + BEYOND if window else 0)]
    return [
        prove_positions(runner, long),
        prove_all_recomputed(runner, ids),
        prove_poison(runner, ids),
        prove_causality(runner, ids),
        prove_prefix(runner, long),
    ]


def _window(config: PreTrainedConfig) -> int:
    """Tokens that a row of the windowed layers sees; 0 where there are none, or where crossing the
    window would take longer than a first start may."""
    window = getattr(config, "sliding_window", None) or 0
    return window if window + BEYOND <= LONGEST else 0


def _long_prompt(config: PreTrainedConfig) -> int:
    length = max(LONG, _window(config) + BEYOND)
    return min(length, int(config.max_position_embeddings))


def prove_positions(runner: ModelRunner, ids: torch.Tensor) -> Proof:
    """P1: stored keys, rotated, are the keys that the model itself cached; bit for bit. Also at the
    end of the longest context, where only a few rows are computed."""
    cache = runner.new_cache(len(ids))
    with captured_keys(runner.model) as keys:
        runner.forward_all(ids, cache)
    placed = torch.empty_like(cache.key_buffer[:, 0])
    Rotator(runner.model).place(torch.stack(keys), placed, 0)
    near = torch.equal(placed, cache.key_buffer[:, 0])
    return Proof("P1 positions", near and _is_right_far_out(runner, ids[:FAR_ROWS]), 0.0)


def _is_right_far_out(runner: ModelRunner, ids: torch.Tensor) -> bool:
    """The same of rows at the end of a context whose other rows are empty."""
    end = min(int(runner.model.config.max_position_embeddings), FARTHEST)
    start = end - len(ids)
    cache = runner.new_cache(end)
    for buffer in (cache.key_buffer, cache.value_buffer):
        buffer.zero_()
    padded = torch.zeros(end, dtype=ids.dtype, device=ids.device)
    padded[start:] = ids
    with captured_keys(runner.model) as keys:
        runner.forward_rows(padded, torch.arange(start, end, device=ids.device), cache)
    placed = torch.empty_like(cache.key_buffer[:, 0])
    Rotator(runner.model).place(torch.stack(keys), placed, start)
    return torch.equal(placed[:, :, start:], cache.key_buffer[:, 0, :, start:])


def prove_all_recomputed(runner: ModelRunner, ids: torch.Tensor) -> Proof:
    """P2: every row recomputed over a cache of foreign rows equals the plain full prefill, in its
    logits and in the keys and values of every layer."""
    full, cache = runner.new_cache(len(ids)), _foreign_cache(runner, ids)
    plain = runner.forward_all(ids, full)
    partial = runner.forward_rows(ids, torch.arange(len(ids), device=ids.device), cache)[-1]
    compared = [equal_logits(partial, plain, runner.dtype)]
    for got, want in ((cache.key_buffer, full.key_buffer), (cache.value_buffer, full.value_buffer)):
        for layer in range(len(want)):
            end = len(ids)
            compared.append(
                equal_logits(got[layer, ..., :end, :], want[layer, ..., :end, :], runner.dtype)
            )
    passed = all(one.passed for one in compared)
    return Proof("P2 all recomputed", passed, max(one.deviation for one in compared))


def prove_poison(runner: ModelRunner, ids: torch.Tensor) -> Proof:
    """P3: NaN in every row that is recomputed leaves no trace; a changed reused row does."""
    rows = torch.arange(len(ids) // 2, len(ids), device=ids.device)
    cache, poisoned, changed = (_foreign_cache(runner, ids) for _ in range(3))
    clean = runner.forward_rows(ids, rows, cache)[-1]
    poisoned.key_buffer[..., rows, :] = float("nan")
    poisoned.value_buffer[..., rows, :] = float("nan")
    same = torch.equal(clean, runner.forward_rows(ids, rows, poisoned)[-1])
    changed.value_buffer[..., len(ids) // 2 - 1, :] = 50.0  # within every window
    moved = not torch.equal(clean, runner.forward_rows(ids, rows, changed)[-1])
    return Proof("P3 poison", same and moved, 0.0)


def prove_causality(runner: ModelRunner, ids: torch.Tensor) -> Proof:
    """P4: a change at row j alters no recomputed row before j, in any layer."""
    rows = torch.arange(0, len(ids), 3, device=ids.device)
    later = len(ids) // 2 + 1
    later += int(later % 3 == 0)  # a reused row, between two recomputed ones
    first, second = _foreign_cache(runner, ids), _foreign_cache(runner, ids)
    runner.forward_rows(ids, rows, first)
    second.value_buffer[..., later, :] += 100.0
    second.key_buffer[..., later, :] -= 100.0
    runner.forward_rows(ids, rows, second)
    before = rows[rows < later]
    after = rows[rows > later]
    kept = torch.equal(first.value_buffer[..., before, :], second.value_buffer[..., before, :])
    seen = not torch.equal(first.value_buffer[..., after, :], second.value_buffer[..., after, :])
    return Proof("P4 causality", kept and seen, 0.0)


def prove_prefix(runner: ModelRunner, ids: torch.Tensor) -> Proof:
    """P5: a prefix and a first chunk from the encoder continue as a plain prefill does."""
    cut, end = len(ids) // 4, 3 * len(ids) // 4
    encoder = Encoder(runner, pack_tokens=len(ids))
    prefix = next(iter(encoder.encode([], [_tuple(ids[:cut])])))
    chunk = next(iter(encoder.encode([prefix], [_tuple(ids[cut:end])])))
    cache = runner.new_cache(len(ids))
    fill_cache(cache, [prefix, chunk], encoder.rotator)
    rows = torch.arange(end, len(ids), device=ids.device)
    partial = runner.forward_rows(ids, rows, cache)[-1]
    plain = runner.forward_all(ids, runner.new_cache(len(ids)))
    return _named("P5 exact prefix", equal_logits(partial, plain, runner.dtype))


def _foreign_cache(runner: ModelRunner, ids: torch.Tensor) -> ScatterCache:
    """A full cache of finite rows that belong to other tokens; the same for the same ids."""
    layout = layout_of(runner.model)
    generator = torch.Generator().manual_seed(len(ids))
    shape = (layout.num_layers, layout.num_kv_heads, len(ids), layout.head_dim)
    foreign = [
        torch.randn(shape, generator=generator).to(runner.device, runner.dtype) for _ in range(2)
    ]
    cache = runner.new_cache(len(ids))
    fill_cache(cache, [Rows(*foreign)], Rotator(runner.model))
    return cache


def _tuple(ids: torch.Tensor) -> tuple[int, ...]:
    return tuple(ids.tolist())


def _named(name: str, comparison: "Comparison") -> Proof:
    return Proof(name, comparison.passed, comparison.deviation)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Largest difference of logits relative to their spread, and whether rounding explains it."""

    deviation: float
    passed: bool


def equal_logits(got: torch.Tensor, want: torch.Tensor, dtype: torch.dtype) -> Comparison:
    """Compare logits [V], or rows of any shape, that were computed in `dtype`."""
    spread = (want.float().max() - want.float().min()).clamp_min(1e-6)
    deviation = float((got.float() - want.float()).abs().max() / spread)
    return Comparison(deviation, deviation <= TOLERANCE[dtype])
