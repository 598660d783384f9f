"""Time the phases of a training step: by the GPU's own events on a GPU, by the clock elsewhere."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .candidates import Candidate

PHASES = ("forward", "backward", "optimizer")


def time_step(candidate: Candidate, optimizer: torch.optim.Optimizer, device: str) -> tuple[float, ...]:
    """Return the seconds of each of :data:`PHASES`. A GPU is waited for at the end alone, as in training."""
    optimizer.zero_grad(set_to_none=True)
    mark, seconds_between = _gpu_clock() if device == "cuda" else _cpu_clock()
    moments = [mark()]
    loss = candidate.forward()
    moments.append(mark())
    loss.backward()
    moments.append(mark())
    optimizer.step()
    moments.append(mark())
    synchronise(device)
    return tuple(seconds_between(before, after) for before, after in zip(moments, moments[1:]))


def summary(times: Sequence[tuple[float, ...]]) -> dict[str, float]:
    """Return medians of the phases, and of forward and backward together the median, the fastest and the slowest."""
    steps = sorted(step[0] + step[1] for step in times)
    found = {name: statistics.median(phase) for name, phase in zip(PHASES, zip(*times))}
    return {**found, "step": statistics.median(steps), "fastest_step": steps[0], "slowest_step": steps[-1]}


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _cpu_clock() -> tuple[Callable[[], float], Callable[[float, float], float]]:
    return time.perf_counter, lambda before, after: after - before


def _gpu_clock() -> tuple[Callable[[], Any], Callable[[Any, Any], float]]:
    torch.cuda.synchronize()

    def mark() -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    return mark, lambda before, after: before.elapsed_time(after) / 1000
