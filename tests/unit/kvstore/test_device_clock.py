"""Timings of a GPU wait for it."""

import pytest
import torch

from kvstore.device_clock import now


def test_a_gpu_is_waited_for_and_a_cpu_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    assert now(torch.device("cpu")) <= now(torch.device("cuda", 0)) <= now(torch.device("cpu"))
    assert waited == [torch.device("cuda", 0)]
