"""Request buffers that serve one prompt after the other: what was in them never shows."""

from pathlib import Path

import pytest
import torch

from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskTier
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import Prefilled, ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.spare_buffers import ROWS, SpareBuffers
from kvstore.store import KVStore
from kvstore.types import ReuseOptions
from tests.support.tiny_models import FRAME, chunk_segments, ids_of, prompt_of

CPU = torch.device("cpu")
OPTIONS = (
    ReuseOptions(mode="off"),
    ReuseOptions(mode="exact"),
    ReuseOptions(policy="none", ratio=0.0),
    ReuseOptions(policy="question", ratio=0.2),
    ReuseOptions(policy="gradual_deviation", ratio=0.2),
    ReuseOptions(policy="all", ratio=1.0),
)
families = pytest.mark.parametrize("family", ["llama", "gemma3"], indirect=True)


def run(engine: ReuseEngine, chunks: list[tuple[int, ...]], options: ReuseOptions) -> Prefilled:
    segments = prompt_of(chunks)
    return engine.prefill(segments, options, capacity=len(ids_of(segments)) + 8)


def answer(result: Prefilled) -> torch.Tensor:
    """Logits [6, V]: the prompt's last row, and those of five greedy tokens."""
    rows = [result.logits]
    for _ in range(5):
        rows.append(result.extend([int(rows[-1].argmax())])[-1])
    return torch.stack(rows)


@families
@pytest.mark.parametrize("keep_share", [1.0, 0.5])
def test_poisoned_buffers_change_no_bit(
    runner: ModelRunner, tmp_path: Path, chunks: list[tuple[int, ...]], keep_share: float
) -> None:
    """NaN all over the buffers that the next prompt gets; its second chunk is not stored."""
    disk = DiskTier(tmp_path, 10**9, MemoryIndex())
    store = KVStore(RamTier(10**8), disk, "namespace", "identity")
    config = ReuseConfig(min_reusable_tokens=1, keep_share=keep_share)
    engine = ReuseEngine(runner, store, FRAME, config)
    engine.refusal = None
    engine.prepare()
    list(engine.precompute(chunk_segments([chunks[0], *chunks[2:]])))
    for options in OPTIONS:
        runner._spare = SpareBuffers()
        first = run(engine, chunks, options)
        fresh = answer(first)
        first.release()
        kept = runner._spare._kept
        assert kept is not None
        for buffer in kept:
            buffer.fill_(float("nan"))
        second = run(engine, chunks, options)
        assert runner._spare._kept is None, "the kept pair is in use"
        assert torch.equal(answer(second), fresh), options


@families
def test_a_released_cache_serves_nothing_any_more(
    engine: ReuseEngine, chunks: list[tuple[int, ...]]
) -> None:
    result = run(engine, chunks, ReuseOptions(mode="off"))
    result.release()
    result.release()  # once is enough
    with pytest.raises((IndexError, ValueError)):
        result.extend([5])


def test_a_pair_is_kept_while_it_is_large_enough_and_of_the_same_kind() -> None:
    spare = SpareBuffers()
    pair = spare.take((2, 1, 3, 10, 8), torch.float32, CPU)
    assert pair[0].shape == (2, 1, 3, ROWS, 8)
    spare.give_back(pair)
    assert spare.take((2, 1, 3, ROWS, 8), torch.float32, CPU) is pair
    assert spare.take((2, 1, 3, 10, 8), torch.float32, CPU) is not pair, "it has an owner"
    for shape, dtype in [
        ((2, 1, 3, ROWS + 1, 8), torch.float32),
        ((2, 1, 3, 10, 8), torch.bfloat16),
        ((4, 1, 3, 10, 8), torch.float32),
    ]:
        spare.give_back(pair)
        other = spare.take(shape, dtype, CPU)
        assert other is not pair
        assert other[0].dtype == dtype
        assert other[0].shape[3] >= shape[3]


def test_a_pair_of_a_very_long_prompt_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvstore.spare_buffers.MOST_BYTES", 1000)
    spare = SpareBuffers()
    pair = spare.take((2, 1, 3, 10, 8), torch.float32, CPU)
    spare.give_back(pair)
    assert spare.take((2, 1, 3, 10, 8), torch.float32, CPU) is not pair
