"""Entries in the memory of the device that computes, in front of RAM: assembling a prompt copies
nothing to it. Where the CPU computes there is no such tier."""

from dataclasses import replace

import torch

from kvstore.ram_tier import RamTier
from kvstore.types import ChunkKV


class DeviceTier(RamTier):
    """A RamTier whose tensors lie on `device`."""

    name = "device"

    def __init__(self, budget_bytes: int, device: torch.device, ttl_s: float | None = None) -> None:
        super().__init__(budget_bytes, ttl_s)
        self._device = device

    def _place(self, entry: ChunkKV) -> ChunkKV:
        return replace(
            entry, keys=entry.keys.to(self._device), values=entry.values.to(self._device)
        )


def open_device_tier(
    budget_bytes: int, device: torch.device, ttl_s: float | None = None
) -> DeviceTier | None:
    """None where the CPU computes, or nothing may be kept."""
    if device.type == "cpu" or budget_bytes == 0:
        return None
    return DeviceTier(budget_bytes, device, ttl_s)
