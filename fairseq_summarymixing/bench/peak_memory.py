"""Measure the peak memory of a step beyond weights and optimizer."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .candidates import Candidate


def peak_bytes(candidate: Candidate) -> int | None:
    """Return the peak of a forward and backward; None where the system cannot measure it."""
    if next(candidate.module.parameters()).is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        candidate.forward().backward()
        return torch.cuda.max_memory_allocated() - before
    try:
        _return_free_memory()
        Path("/proc/self/clear_refs").write_text("5")  # Linux: sets the peak to what is resident now
        before = _status_kilobytes("VmHWM")
        candidate.forward().backward()
        return (_status_kilobytes("VmHWM") - before) * 1024
    except OSError:
        return None


def _return_free_memory() -> None:
    """Return freed memory to the system: what the C library keeps would hide as much of the next peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _status_kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
