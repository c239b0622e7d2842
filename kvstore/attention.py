"""The attention function Larder's models run with: torch's sdpa under explicit masks.

Registered under its own name without a mask function, so transformers builds no mask: a caller
passes a 4D mask, or none where plain causal attention (all rows fresh) or a single row is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import nn
from transformers import AttentionInterface

ATTENTION_NAME = "larder_attention"
# Rows that share a slice of the keys: under a mask torch skips no key, so a tile is shown only the
# keys its last row may see. Halves attention over a long run of rows.
TILE = 128


class AttentionObserver(Protocol):
    """Shown the attention weights [..., q, num_keys] float32 of the layers it names."""

    @property
    def layers(self) -> Sequence[int]: ...

    def record(self, weights: torch.Tensor) -> None: ...


@dataclass(slots=True)
class AttentionRecorder:
    """Sums the attention mass of the query rows on each key, head- and row-averaged, per layer."""

    layers: Sequence[int]
    mass: torch.Tensor | None = field(default=None)  # [num_keys] float32, summed over layers

    def record(self, weights: torch.Tensor) -> None:
        """weights: softmax over the keys, [..., q, num_keys] float32."""
        mass = weights.flatten(0, -2).mean(0)
        self.mass = mass if self.mass is None else self.mass + mass


@dataclass(frozen=True, slots=True)
class Places:
    """Where the rows and the keys of one forward stand in the text; for layers with a window."""

    rows: torch.Tensor  # [q] or, for prompts side by side, [B, q] int64
    keys: torch.Tensor  # [N] int64
    _masks: dict[int, torch.Tensor] = field(default_factory=dict)  # by window

    def mask(self, base: torch.Tensor | None, window: int, dtype: torch.dtype) -> torch.Tensor:
        """Additive mask [1 or B, 1, q, N]: `base`, or causal where it is None, within `window`.
        Made once: every layer of a forward has the same base."""
        if window not in self._masks:
            self._masks[window] = self._within(base, window).to(dtype)
        return self._masks[window]

    def _within(self, base: torch.Tensor | None, window: int) -> torch.Tensor:
        distance = self.rows[..., None] - self.keys
        hidden = distance >= window
        if base is None:
            hidden = hidden | (distance < 0)
            base = torch.zeros((), dtype=torch.float32, device=self.rows.device)
        return base.masked_fill(hidden.reshape(-1, 1, *hidden.shape[-2:]), float("-inf"))


def larder_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    attention_recorder: AttentionObserver | None = None,
    tile_ends: Sequence[int] = (),
    places: Places | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """query [B, H, q, D], key and value [B, G, N, D] -> (out [B, q, H, D], None).

    tile_ends: for each TILE rows, the number of leading keys that the mask shows to any of them.
    sliding_window: a row sees that many tokens, itself included; needs `places`.

    Grouped keys are passed as they are: stock transformers repeats them H/G times under a mask,
    which costs 5 % of a 25-row forward at 1,500 keys on two cores.
    """
    num_queries, num_keys = query.shape[2], key.shape[2]
    if attention_mask is None and 1 < num_queries != num_keys:
        # torch aligns its causal flag to the top left: wrong for any cache
        raise ValueError(f"{num_queries} rows against {num_keys} keys need an explicit mask")
    mask = attention_mask
    if sliding_window is not None and num_keys > sliding_window:
        if places is None:
            raise ValueError(f"a window of {sliding_window} tokens needs the places of rows")
        mask = places.mask(attention_mask, sliding_window, query.dtype)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if attention_recorder is not None:
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        if layer in attention_recorder.layers:
            seen = _causal(mask, num_queries, query)
            attention_recorder.record(_weights(query, key, seen, scale, softcap))
    if softcap is not None:
        weights = _weights(query, key, _causal(mask, num_queries, query), scale, softcap)
        out = _mix(weights.to(query.dtype), value)
    else:
        out = _attend(query, key, value, mask, scale, tile_ends)
    return out.transpose(1, 2).contiguous(), None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    tile_ends: Sequence[int],
) -> torch.Tensor:
    """torch's own attention, in tiles where they spare it keys; [B, H, q, D]."""
    attend = partial(
        nn.functional.scaled_dot_product_attention,
        is_causal=mask is None and query.shape[2] > 1,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    if mask is None or len(tile_ends) < 2:
        return attend(query, key, value, attn_mask=mask)
    tiles = []
    for tile, end in enumerate(tile_ends):
        rows = slice(tile * TILE, (tile + 1) * TILE)
        seen = mask[:, :, rows, :end]
        tiles.append(attend(query[:, :, rows], key[:, :, :end], value[:, :, :end], attn_mask=seen))
    return torch.cat(tiles, dim=2)


def _weights(
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """Attention weights [B, G, H/G, q, N] float32; torch's attention neither caps nor tells."""
    batch, groups = key.shape[:2]
    folded = query.reshape(batch, groups, -1, *query.shape[2:])
    scores = (folded @ key.unsqueeze(2).transpose(-1, -2)).float() * scale
    if softcap is not None:
        scores = (scores / softcap).tanh() * softcap
    if mask is not None:
        scores = scores + mask.unsqueeze(1).float()
    return scores.softmax(-1)


def _mix(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """[B, G, H/G, q, N] and [B, G, N, D] -> [B, H, q, D]."""
    return (weights @ value.unsqueeze(2)).flatten(1, 2)


def _causal(mask: torch.Tensor | None, num_rows: int, like: torch.Tensor) -> torch.Tensor | None:
    """The mask that stands for None where every row is fresh."""
    if mask is not None or num_rows == 1:
        return mask
    hidden = torch.ones(num_rows, num_rows, dtype=torch.bool, device=like.device).triu(1)
    return torch.zeros_like(hidden, dtype=like.dtype).masked_fill(hidden, float("-inf"))[None, None]


def tile_ends_of(rows: torch.Tensor) -> list[int]:
    """For sorted rows [S] that see the keys up to their own: `tile_ends` of larder_attention."""
    last = torch.arange(TILE - 1, len(rows) + TILE - 1, TILE, device=rows.device)
    return (rows[last.clamp(max=len(rows) - 1)] + 1).tolist()


def register() -> str:
    """Make the function known to transformers; returns its name. Safe to call again."""
    AttentionInterface.register(ATTENTION_NAME, larder_attention)
    return ATTENTION_NAME
