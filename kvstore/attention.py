"""The attention function Larder's models run with: torch's sdpa under explicit masks.

Registered under its own name without a mask function, so transformers builds no mask: a caller
passes a 4D mask, or none where plain causal attention (all rows fresh) or a single row is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from transformers import AttentionInterface

ATTENTION_NAME = "larder_sdpa"
# Rows that share a slice of the keys: under a mask torch skips no key, so a tile is shown only the
# keys its last row may see. Halves attention over a long run of rows.
TILE = 128


@dataclass(slots=True)
class AttentionRecorder:
    """Sums the attention mass of the query rows on each key, head- and row-averaged, per layer."""

    layers: Sequence[int]
    mass: torch.Tensor | None = field(default=None)  # [num_keys] float32, summed over layers

    def record(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
    ) -> None:
        """query [1, H, q, D], key [1, G, N, D], mask additive [1, 1, q, N] or None."""
        if layer not in self.layers:
            return
        groups = key.shape[1]
        folded = query[0].reshape(groups, -1, *query.shape[2:])  # [G, H/G, q, D]
        scores = (folded @ key[0].unsqueeze(1).transpose(-1, -2)).float() * scale
        if mask is not None:
            scores = scores + mask[0].float()
        mass = scores.softmax(-1).mean(dim=(0, 1, 2))
        self.mass = mass if self.mass is None else self.mass + mass


def larder_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    attention_recorder: AttentionRecorder | None = None,
    tile_ends: Sequence[int] = (),
    **_: object,
) -> tuple[torch.Tensor, None]:
    """query [B, H, q, D], key and value [B, G, N, D] -> (out [B, q, H, D], None).

    tile_ends: for each TILE rows, the number of leading keys that the mask shows to any of them.
    Grouped keys are passed as they are: stock transformers repeats them H/G times under a mask,
    which costs 5 % of a 25-row forward at 1,500 keys on two cores.
    """
    num_queries, num_keys = query.shape[2], key.shape[2]
    is_causal = attention_mask is None and num_queries > 1
    if is_causal and num_queries != num_keys:
        # torch aligns its causal flag to the top left: wrong for any cache
        raise ValueError(f"{num_queries} rows against {num_keys} keys need an explicit mask")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if attention_recorder is not None:
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        attention_recorder.record(layer, query, key, attention_mask, scale)
    attend = partial(
        nn.functional.scaled_dot_product_attention,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    if attention_mask is None or len(tile_ends) < 2:
        out = attend(query, key, value, attn_mask=attention_mask)
        return out.transpose(1, 2).contiguous(), None
    tiles = []
    for tile, end in enumerate(tile_ends):
        rows = slice(tile * TILE, (tile + 1) * TILE)
        mask = attention_mask[:, :, rows, :end]
        tiles.append(attend(query[:, :, rows], key[:, :, :end], value[:, :, :end], attn_mask=mask))
    return torch.cat(tiles, dim=2).transpose(1, 2).contiguous(), None


def tile_ends_of(rows: torch.Tensor) -> list[int]:
    """For sorted rows [S] that see the keys up to their own: `tile_ends` of larder_attention."""
    last = torch.arange(TILE - 1, len(rows) + TILE - 1, TILE, device=rows.device)
    return (rows[last.clamp(max=len(rows) - 1)] + 1).tolist()


def register() -> str:
    """Make the function known to transformers; returns its name. Safe to call again."""
    AttentionInterface.register(ATTENTION_NAME, larder_attention)
    return ATTENTION_NAME
