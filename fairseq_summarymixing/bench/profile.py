"""Profile a step: its most expensive operations, how many kernels it launches, how long they run."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from .candidates import Candidate
from .timing import synchronise

STEPS = 3


def profile_step(candidate: Candidate, device: str, top: int = 15) -> dict[str, Any]:
    """Profile forward and backward of a candidate that was warmed up.

    Returns:
        ``seconds`` of a step without the profiler; ``busy_seconds`` that kernels ran (on a CPU: that operations did);
        ``launches`` of kernels (on a CPU: operations); ``top``, a list of [name, seconds, calls], a step's.
    """

    def step() -> None:
        candidate.forward().backward()
        candidate.module.zero_grad(set_to_none=True)

    step()
    synchronise(device)
    begun = time.perf_counter()
    for _ in range(STEPS):
        step()
    synchronise(device)
    seconds = (time.perf_counter() - begun) / STEPS
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=activities) as profiler:
        step()
        synchronise(device)
    found = [(event.key, _own_seconds(event, device), event.count) for event in profiler.key_averages()]
    ran = sorted((one for one in found if one[1] > 0), key=lambda one: -one[1])
    return {
        "seconds": seconds,
        "busy_seconds": sum(one[1] for one in ran),
        "launches": sum(one[2] for one in ran),
        "top": [list(one) for one in ran[:top]],
    }


def _own_seconds(event: Any, device: str) -> float:
    """Return an operation's own seconds; on a GPU those of kernels alone, which operations would count again."""
    if device != "cuda":
        return event.self_cpu_time_total / 1e6
    if event.device_type != torch.autograd.DeviceType.CUDA:
        return 0.0
    return getattr(event, "self_device_time_total", getattr(event, "self_cuda_time_total", 0)) / 1e6
