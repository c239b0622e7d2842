"""Affine quantisation along one axis in groups: x is about low + code * step.

Keys are coded per channel before rotation, where a channel keeps its offset and its range over the
tokens; values per token (KIVI, arXiv 2402.02750). Rotation would mix channels of unlike range.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from kvstore.errors import NotFinite

TOKENS, CHANNELS = 2, 3  # axes of [L, G, n, D]


@dataclass(frozen=True, slots=True)
class Quantised:
    """codes uint8, the shape of the input; low and step, one along `axis` for each group."""

    codes: torch.Tensor
    low: torch.Tensor
    step: torch.Tensor

    def named(self, name: str) -> dict[str, torch.Tensor]:
        """As tensors of a file; `of_file` reads them back."""
        return {name: self.codes, f"{name}_low": self.low, f"{name}_step": self.step}


def of_file(tensors: Mapping[str, torch.Tensor], name: str) -> Quantised:
    return Quantised(tensors[name], tensors[f"{name}_low"], tensors[f"{name}_step"])


def quantise(
    x: torch.Tensor, axis: int, bits: int, *, group: int, stats: torch.dtype = torch.float32
) -> Quantised:
    """Code x [L, G, n, D] in groups of `group` along `axis`; the last group may be shorter.

    With `stats` bf16 the stored low lies at or below the smallest value and the stored step is
    rounded up, so that every value still lies within half a step of its code. Raises NotFinite
    when a range overflows.
    """
    levels = 2**bits - 1
    runs = torch.split(x.float(), group, dim=axis)
    low = torch.cat([run.amin(axis, keepdim=True) for run in runs], dim=axis)
    high = torch.cat([run.amax(axis, keepdim=True) for run in runs], dim=axis)
    if stats == torch.bfloat16:  # rounding moves a number by at most 2^-9 of it
        low = (low - low.abs() * 2**-8).to(stats).float()
        step = ((high - low) / levels * (1 + 2**-8)).to(stats).float()
    else:
        step = (high - low) / levels
    if not step.isfinite().all():
        raise NotFinite("rows lie too far apart to be coded")
    offset = x.float() - _spread(low, x, axis, group)
    spread = _spread(step, x, axis, group)
    codes = torch.where(spread > 0, offset / spread, 0.0).round_().clamp_(0, levels)
    return Quantised(codes.to(torch.uint8), low.to(stats), step.to(stats))


def dequantise(coded: Quantised, axis: int, *, group: int, dtype: torch.dtype) -> torch.Tensor:
    """Undo `quantise`, in fp32, cast once."""
    codes = coded.codes.float()
    codes *= _spread(coded.step.float(), codes, axis, group)
    codes += _spread(coded.low.float(), codes, axis, group)
    return codes.to(dtype)


def _spread(stat: torch.Tensor, x: torch.Tensor, axis: int, group: int) -> torch.Tensor:
    """One number a group -> one an element along `axis`; a single group is left to broadcasting."""
    if stat.shape[axis] == 1:
        return stat
    return stat.repeat_interleave(group, dim=axis).narrow(axis, 0, x.shape[axis])
