"""Codecs: shapes kept, errors within what the stored scales allow, damage and NaN refused."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.codecs import CODECS, find_codec
from kvstore.codecs.affine import CHANNELS, TOKENS, dequantise, quantise
from kvstore.codecs.kivi_int4 import GROUP
from kvstore.codecs.measure import measure_codec
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.entry_file import from_bytes, to_bytes
from kvstore.errors import CorruptEntry, NotFinite, UnknownCodec
from kvstore.keys import content_id, entry_key
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.store import KVStore
from kvstore.types import ChunkKV

LOSSY = [name for name, codec in CODECS.items() if not codec.lossless]
few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31)
dtypes = st.sampled_from([torch.float32, torch.float16, torch.bfloat16])


def make_entry(
    seed: int,
    tokens: int = 20,
    *,
    head_dim: int = 8,
    dtype: torch.dtype = torch.float32,
    scale: float = 1.0,
) -> ChunkKV:
    """Rows with one channel of large offset in the keys."""
    generator = torch.Generator().manual_seed(seed)
    keys, values = (
        torch.randn(2, 3, tokens, head_dim, generator=generator) * scale for _ in range(2)
    )
    keys[..., 0] = keys[..., 0] * 4 + 10 * scale
    ids = tuple(range(tokens))
    key = entry_key("namespace", "identity", content_id(ids), ())
    return ChunkKV(key, ids, keys.to(dtype), values.to(dtype))


def allowed(x: torch.Tensor, axis: int, bits: int, group: int) -> torch.Tensor:
    """Half a step of each element's group, a hundredth for stored scales in bf16, and the casts."""
    steps = []
    for run in x.float().split(group, dim=axis):
        low, high = run.amin(axis, keepdim=True), run.amax(axis, keepdim=True)
        step = (high - low + low.abs() / 64) / (2**bits - 1)
        steps.append(step.expand_as(run))
    half = torch.cat(steps, dim=axis) * 0.51
    return half + x.abs().float() * torch.finfo(x.dtype).eps * 2 + 1e-7


@few
@given(
    name=st.sampled_from(list(CODECS)),
    seed=seeds,
    tokens=st.integers(1, 150),
    head_dim=st.integers(1, 9),
    dtype=dtypes,
)
def test_shape_dtype_and_ids_are_kept(
    name: str, seed: int, tokens: int, head_dim: int, dtype: torch.dtype
) -> None:
    entry = make_entry(seed, tokens, head_dim=head_dim, dtype=dtype)
    found = from_bytes(to_bytes(entry, find_codec(name)), entry.key)
    assert found.token_ids == entry.token_ids
    for got, given_rows in ((found.keys, entry.keys), (found.values, entry.values)):
        assert got.shape == given_rows.shape
        assert got.dtype == dtype
        assert got.isfinite().all()
        assert got.is_contiguous()  # rotate_gather takes nothing else


@few
@given(seed=seeds, tokens=st.integers(1, 150), dtype=dtypes)
def test_raw_is_bit_equal(seed: int, tokens: int, dtype: torch.dtype) -> None:
    entry = make_entry(seed, tokens, dtype=dtype)
    found = from_bytes(to_bytes(entry), entry.key)
    assert torch.equal(found.keys, entry.keys)
    assert torch.equal(found.values, entry.values)


@few
@given(seed=seeds, scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_bf16_keeps_eight_bits(seed: int, scale: float) -> None:
    entry = make_entry(seed, scale=scale)
    found = from_bytes(to_bytes(entry, find_codec("bf16")), entry.key)
    assert ((found.keys - entry.keys).abs() <= entry.keys.abs() * 2**-8).all()
    again = from_bytes(to_bytes(found, find_codec("bf16")), entry.key)
    assert torch.equal(again.keys, found.keys)


@few
@given(
    name=st.sampled_from(["int8", "zstd_int8", "kivi_int4"]),
    seed=seeds,
    tokens=st.integers(1, 150),
    head_dim=st.integers(1, 9),
    dtype=dtypes,
    scale=st.sampled_from([1e-3, 1.0, 300.0]),
)
def test_every_element_is_within_half_a_step(
    name: str, seed: int, tokens: int, head_dim: int, dtype: torch.dtype, scale: float
) -> None:
    entry = make_entry(seed, tokens, head_dim=head_dim, dtype=dtype, scale=scale)
    found = from_bytes(to_bytes(entry, find_codec(name)), entry.key)
    bits, group = (4, GROUP) if name == "kivi_int4" else (8, tokens)
    key_error = (found.keys.float() - entry.keys.float()).abs()
    value_error = (found.values.float() - entry.values.float()).abs()
    assert (key_error <= allowed(entry.keys, TOKENS, bits, group)).all()
    assert (value_error <= allowed(entry.values, CHANNELS, bits, head_dim)).all()


def test_constant_rows_come_back_as_they_were() -> None:
    entry = make_entry(1)
    flat = ChunkKV(entry.key, entry.token_ids, torch.full_like(entry.keys, 3.0), entry.values * 0.0)
    for codec in CODECS.values():
        found = from_bytes(to_bytes(flat, codec), entry.key)
        assert torch.equal(found.keys, flat.keys)
        assert torch.equal(found.values, flat.values)


def test_a_large_offset_in_one_channel_costs_the_others_nothing() -> None:
    """Why keys are coded per channel: per token, the offset would set the step of all channels."""
    keys = make_entry(1, 64).keys
    keys[..., 0] += 1000
    per_channel = dequantise(
        quantise(keys, TOKENS, 8, group=64), TOKENS, group=64, dtype=torch.float32
    )
    per_token = dequantise(
        quantise(keys, CHANNELS, 8, group=8), CHANNELS, group=8, dtype=torch.float32
    )
    errors = [float((x - keys)[..., 1:].abs().max()) for x in (per_channel, per_token)]
    assert errors[0] < 0.02 < 1 < errors[1]


@pytest.mark.parametrize("name", list(CODECS))
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_refused_and_nothing_is_kept(
    name: str, bad: float, tmp_path: Path
) -> None:
    entry = make_entry(1)
    entry.values[1, 2, 3, 4] = bad
    tier = DiskTier(tmp_path, 10**6, MemoryIndex(), DiskRules(find_codec(name)))
    with pytest.raises(NotFinite, match=name):
        tier.put(entry)
    assert tier.stats().entries == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", LOSSY)
def test_what_overflows_only_when_coded_is_refused_too(name: str) -> None:
    entry = make_entry(1)
    entry.keys[0, 0, :2, 0] = torch.tensor([3.4e38, -3.4e38])
    with pytest.raises(NotFinite):
        to_bytes(entry, find_codec(name))


@pytest.mark.parametrize("name", list(CODECS))
def test_every_cut_and_flip_is_noticed(name: str) -> None:
    entry = make_entry(1, tokens=3)
    data = to_bytes(entry, find_codec(name))
    whole = from_bytes(data, entry.key)
    for position in range(0, len(data), 3):
        damaged = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        try:
            found = from_bytes(damaged, entry.key)
        except CorruptEntry:
            continue
        assert torch.equal(found.keys, whole.keys), position  # padding inside the JSON header
        assert torch.equal(found.values, whole.values), position
    for length in range(0, len(data), 29):
        with pytest.raises(CorruptEntry):
            from_bytes(data[:length], entry.key)


@pytest.mark.parametrize("name", list(CODECS))
def test_a_damaged_file_is_quarantined(name: str, tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 10**6, MemoryIndex(), DiskRules(find_codec(name)))
    store = KVStore(RamTier(0), disk, "namespace", "identity")
    entry = make_entry(1)
    store.put(entry)
    assert store.lookup(entry.token_ids, ()).entry is not None
    path = next(tmp_path.glob("*/*.safetensors"))
    path.write_bytes(path.read_bytes()[:-3])
    assert store.lookup(entry.token_ids, ()).corrupt
    assert (tmp_path / "quarantine" / path.name).exists()


def test_a_file_without_codec_in_its_header_is_raw() -> None:
    """Files written before there were codecs stay readable."""
    import safetensors.torch

    from kvstore.entry_file import KEY_FIELDS, entry_digest
    from kvstore.keys import SCHEMA

    entry = make_entry(1, dtype=torch.bfloat16)
    ids = torch.tensor(entry.token_ids, dtype=torch.int32)
    tensors = {"keys": entry.keys, "values": entry.values, "token_ids": ids}
    metadata = {name: str(getattr(entry.key, name)) for name in KEY_FIELDS}
    metadata |= {"schema": SCHEMA, "sha256": entry_digest(tensors, {})}
    found = from_bytes(safetensors.torch.save(tensors, metadata=metadata), entry.key)
    assert torch.equal(found.keys, entry.keys)


def test_bytes_a_token_shrink_from_codec_to_codec() -> None:
    entry = make_entry(1, tokens=256, head_dim=64)
    rows = {
        name: measure_codec(codec, entry.keys, entry.values, repeats=1)
        for name, codec in CODECS.items()
    }
    raw = rows["raw"].bytes_per_token
    assert rows["raw"].max_error == 0
    assert rows["bf16"].bytes_per_token < 0.52 * raw
    assert rows["int8"].bytes_per_token < 0.28 * raw
    assert rows["kivi_int4"].bytes_per_token < 0.17 * raw
    assert rows["zstd_int8"].bytes_per_token < rows["int8"].bytes_per_token
    assert rows["bf16"].max_error < rows["kivi_int4"].max_error
    assert all(row.encode_mb_s > 0 and row.decode_mb_s > 0 for row in rows.values())


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(UnknownCodec, match="known: raw, bf16"):
        find_codec("gzip")


def test_a_codec_whose_package_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UnknownCodec, match="needs the package zstandard"):
        to_bytes(make_entry(1), find_codec("zstd_int8"))
