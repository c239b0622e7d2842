"""Attention in tiles equals attention in one piece."""

import pytest
import torch
from torch import nn

from kvstore.attention import TILE, larder_attention, tile_ends_of
from kvstore.cache import causal_mask


@pytest.mark.parametrize("num_rows", [1, TILE, TILE + 1, 3 * TILE - 5])
def test_tiles_change_nothing(num_rows: int) -> None:
    generator = torch.Generator().manual_seed(num_rows)
    num_keys = 4 * TILE
    rows = torch.randperm(num_keys, generator=generator)[:num_rows].sort().values
    query = torch.randn(1, 6, num_rows, 8, generator=generator)
    key, value = (torch.randn(1, 2, num_keys, 8, generator=generator) for _ in range(2))
    mask = causal_mask(rows, num_keys, torch.float32)
    ends = tile_ends_of(rows)
    assert len(ends) == -(-num_rows // TILE)
    whole, _ = larder_attention(nn.Identity(), query, key, value, mask)
    tiled, _ = larder_attention(nn.Identity(), query, key, value, mask, tile_ends=ends)
    assert torch.allclose(whole, tiled, atol=1e-6)


def test_a_tile_never_reads_a_key_that_no_row_may_see() -> None:
    rows = torch.arange(0, 4 * TILE, 2)
    query = torch.randn(1, 2, len(rows), 8)
    key, value = (torch.randn(1, 2, 4 * TILE, 8) for _ in range(2))
    mask = causal_mask(rows, 4 * TILE, torch.float32)
    clean, _ = larder_attention(
        nn.Identity(), query, key, value, mask, tile_ends=tile_ends_of(rows)
    )
    value[:, :, 2 * TILE :] = float("nan")
    poisoned, _ = larder_attention(
        nn.Identity(), query, key, value, mask, tile_ends=tile_ends_of(rows)
    )
    assert torch.equal(clean[:, :TILE], poisoned[:, :TILE])
