"""Primed rows: behind a chunk's neighbours, exactly, and forgotten with them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from kvstore.capture import captured_keys
from kvstore.codecs import find_codec
from kvstore.config import ReuseConfig
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.encode import Encoder, Rows
from kvstore.encodings import find_encoding
from kvstore.entry_file import from_bytes, to_bytes
from kvstore.keys import content_id
from kvstore.memory_index import MemoryIndex
from kvstore.primers import primer_places
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.store import KVStore
from kvstore.types import ChunkKV, Encoding, ReuseOptions, Segment
from tests.support.tiny_models import FRAME, chunk_segments, draw_ids, ids_of, prompt_of

Own = tuple[tuple[int, ...], ...]
TEXTS = [draw_ids(9 + n, 40 + n) for n in range(5)]


def document(texts: list[tuple[int, ...]]) -> list[Segment]:
    """Its chunks, each with the primers that ingestion gives it."""
    count = len(texts)
    return [
        Segment("chunk", ids, tuple(texts[near] for near in primer_places(place, count)))
        for place, ids in enumerate(texts)
    ]


@given(st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_primers_are_neighbours(place_and_count: tuple[int, int]) -> None:
    place, count = place_and_count
    primers = primer_places(place, count)
    near, others = primers[:2], primers[2:]
    if (place, count) == (1, 3):
        assert primers == (0, 2)
        return
    assert len(near) == min(2, count - 1)
    assert len(primers) == min(4, count - 1)
    assert place not in primers
    assert len(set(primers)) == len(primers)
    assert list(near) == sorted(near)
    assert list(others) == sorted(others)
    assert all(0 <= primer < count and abs(primer - place) <= 4 for primer in primers)
    assert all(abs(primer - place) <= 2 for primer in near)


@pytest.mark.parametrize(
    ("own", "before"),
    [
        ((), (FRAME.prefix, *FRAME.primers)),
        (((1,),), (FRAME.prefix, FRAME.primers[0], (1,))),
        (((1,), (2,)), (FRAME.prefix, (1,), (2,))),
    ],
)
def test_neutral_primers_fill_up(own: Own, before: Own) -> None:
    chunk = Segment("chunk", (5, 6), own)
    first, second = find_encoding("primed").contexts(FRAME, chunk)
    assert first == before
    assert find_encoding("head").contexts(FRAME, chunk) == ((FRAME.prefix,),)
    assert find_encoding("primed").key_context(FRAME, chunk) == (
        "mean",
        *("behind", *map(content_id, first)),
        *("behind", *map(content_id, second)),
    )


@pytest.mark.parametrize(
    ("own", "second"),
    [
        ((), tuple(reversed(FRAME.primers))),
        (((1,),), ((1,), FRAME.primers[0])),
        (((1,), (2,)), ((2,), (1,))),
        (((1,), (2,), (3,)), ((3,), (2,))),
        (((1,), (2,), (3,), (4,)), ((3,), (4,))),
    ],
)
def test_the_second_context_holds_the_other_primers(own: Own, second: Own) -> None:
    """Filled up with the near ones in reverse."""
    chunk = Segment("chunk", (5, 6), own)
    assert find_encoding("primed").contexts(FRAME, chunk)[1] == (FRAME.prefix, *second)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_primed_rows_cost_four_forwards_a_chunk(
    runner: ModelRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind P, behind one neighbour, and behind two on each side; pairs are shared."""
    texts = [draw_ids(9 + n % 3, 40 + n) for n in range(20)]
    encoded: list[tuple[int, ...]] = []
    plain = Encoder.encode

    def counted(
        self: Encoder, context: Sequence[Rows], segments: Sequence[tuple[int, ...]]
    ) -> Iterator[Rows]:
        encoded.extend(segments)
        return plain(self, context, segments)

    monkeypatch.setattr(Encoder, "encode", counted)
    store = KVStore(
        RamTier(10**9), DiskTier(tmp_path, 10**9, MemoryIndex()), "namespace", "identity"
    )
    config = ReuseConfig(encodings=("primed",), pack_tokens=24)
    list(ReuseEngine(runner, store, FRAME, config).precompute(document(texts)))
    of_chunks = [ids for ids in encoded if ids in set(texts)]
    # the first two have no neighbours before them and the last two none after: other pairs
    assert len(of_chunks) <= 4 * len(texts) + 6


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("family", ["llama", "qwen3"], indirect=True)
def test_primed_rows_are_those_of_a_plain_forward(
    engine: ReuseEngine, runner: ModelRunner, count: int
) -> None:
    for report in engine.precompute(document(TEXTS[:count])):
        assert (report.left, report.reason) == (0, None)
    encodings: tuple[Encoding, ...] = ("head", "primed")
    for chunk in document(TEXTS[:count]):
        for encoding in encodings:
            contexts = find_encoding(encoding).contexts(FRAME, chunk)
            found = engine.store.lookup(
                chunk.token_ids, find_encoding(encoding).key_context(FRAME, chunk)
            ).entry
            assert found is not None
            keys, values = mean_rows(runner, [[*before, chunk.token_ids] for before in contexts])
            assert torch.allclose(found.keys, keys, atol=1e-5)
            assert torch.allclose(found.values, values, atol=1e-5)


def mean_rows(
    runner: ModelRunner, prompts: list[list[tuple[int, ...]]]
) -> tuple[torch.Tensor, torch.Tensor]:
    keys, values = zip(*(plain_rows(runner, prompt) for prompt in prompts), strict=True)
    return torch.stack(keys).mean(0), torch.stack(values).mean(0)


def plain_rows(
    runner: ModelRunner, segments: list[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys before rotation and values of the last segment, all computed in one forward."""
    ids = torch.tensor([token for segment in segments for token in segment])
    cache = runner.new_cache(len(ids))
    with captured_keys(runner.model) as keys:
        runner.forward_all(ids, cache)
    start = len(ids) - len(segments[-1])
    return torch.stack(keys)[:, :, start:], cache.value_buffer[:, 0, :, start:]


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_what_is_stored_needs_two_entries_a_chunk(engine: ReuseEngine) -> None:
    """Rows that only served as context are not kept."""
    list(engine.precompute(document(TEXTS)))
    engine.prepare()
    assert engine.store.stats().tiers[1].entries == 2 * len(TEXTS) + 3
    again = list(engine.precompute(document(TEXTS)))
    assert sum(report.already for report in again) == len(TEXTS)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_a_prompt_reuses_chunks_primed_by_their_neighbours(
    engine: ReuseEngine, plain_model: PreTrainedModel
) -> None:
    chunks = document(TEXTS)
    list(engine.precompute(chunks))
    segments = prompt_of([])
    segments[1:1] = [chunks[3], chunks[0], chunks[4]]
    result = engine.prefill(segments, ReuseOptions(policy="none", ratio=0.0), capacity=200)
    told = [(s.action, s.encoding) for s in result.report.segments[1:4]]
    assert told == [("exact", "head"), ("reused", "primed"), ("reused", "primed")]
    every = engine.prefill(segments, ReuseOptions(policy="all", ratio=1.0), capacity=200)
    with torch.inference_mode():
        full = plain_model(torch.tensor([ids_of(segments)])).logits[0, -1]
    assert torch.allclose(every.logits, full, atol=1e-4)
    # the same chunks with other neighbours are other entries
    alone = [segments[0], *chunk_segments([TEXTS[3], TEXTS[0]]), segments[-1]]
    other = engine.prefill(alone, ReuseOptions(policy="none", ratio=0.0), capacity=200)
    assert other.report.segments[2].encoding == "head"


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_rows_that_saw_a_purged_passage_go_with_it(engine: ReuseEngine) -> None:
    """A chunk that another document holds too stays, but not what it learned from this one."""
    chunks = document(TEXTS)
    list(engine.precompute(chunks))
    purged = engine.store.purge([TEXTS[1]]).entries
    # both of its own, and primed ones of the chunks that stood behind it
    behind = [chunk for chunk in chunks if TEXTS[1] in chunk.primers]
    assert purged == 2 + len(behind)
    for chunk in chunks:
        context = find_encoding("primed").key_context(FRAME, chunk)
        assert engine.store.contains(chunk.token_ids, context) == (
            chunk not in behind and chunk.token_ids != TEXTS[1]
        )


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_behind_a_lossy_store_rows_are_computed_from_exact_ones(
    runner: ModelRunner, tmp_path: Path
) -> None:
    """A context that was read back from int8 would hand its error on to what is kept behind it."""
    disk = DiskTier(tmp_path, 10**9, MemoryIndex(), DiskRules(find_codec("int8")))
    store = KVStore(RamTier(10**8), disk, "namespace", "identity")
    chunk = document(TEXTS[:3])[2]
    for _ in range(2):  # the second engine finds P and the primers stored, with their error
        engine = ReuseEngine(runner, store, FRAME, ReuseConfig())
        engine.prepare()
    list(engine.precompute([chunk]))
    found = store.lookup(chunk.token_ids, find_encoding("primed").key_context(FRAME, chunk)).entry
    assert found is not None
    contexts = find_encoding("primed").contexts(FRAME, chunk)
    keys, values = mean_rows(runner, [[*before, chunk.token_ids] for before in contexts])
    exact = ChunkKV(found.key, found.token_ids, keys, values)
    once = from_bytes(to_bytes(exact, find_codec("int8")), found.key)
    assert (found.keys - once.keys).abs().max() < 0.3 * (once.keys - keys).abs().max()
    assert not torch.equal(found.keys, keys)
