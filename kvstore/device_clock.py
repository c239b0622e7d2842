"""The time by which a device has done what it was given: a GPU only queues it."""

import time

import torch


def now(device: torch.device) -> float:
    """Seconds of `time.perf_counter`, after a CUDA device has caught up."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
