"""Describe the machine that measures: hardware, versions, and the rate of a bare matrix product."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..modules.lean.linear import linear
from .timing import synchronise


def describe_machine(device: str = "cpu", dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Return hardware, versions, and how many operations a second a bare matrix product reaches."""
    name = torch.cuda.get_device_name() if device == "cuda" else processor_name()
    return {
        "machine": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "version": __version__,
        "commit": commit_of(Path(__file__).resolve().parents[1]),
        "date": time.strftime("%Y-%m-%d"),
        "matmul_flops_per_second": matmul_rate(device, dtype),
    }


def matmul_rate(device: str, dtype: torch.dtype) -> float:
    """Measure a product by :func:`linear`, in operations per second: the fastest in 0.5 s.

    On a CPU it is the feed-forward's own, of 30 s of audio; on a GPU a large square one, which reaches the most.
    """
    rows, columns, hidden = (8192, 8192, 8192) if device == "cuda" else (1500, 768, 3072)
    left = torch.randn(rows, columns, device=device, dtype=dtype)
    right = torch.randn(hidden, columns, device=device, dtype=dtype)
    fastest, begun = math.inf, time.perf_counter()
    with torch.no_grad():
        while time.perf_counter() - begun < 0.5:
            synchronise(device)
            before = time.perf_counter()
            linear(left, right)
            synchronise(device)
            fastest = min(fastest, time.perf_counter() - before)
    return 2 * rows * columns * hidden / fastest


def processor_name() -> str:
    """Return the name of the CPU, as Linux gives it, or its architecture."""
    with open("/proc/cpuinfo", encoding="utf-8") if os.path.exists("/proc/cpuinfo") else nullcontext([]) as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit_of(package: Path) -> str | None:
    """Return the commit that holds a package's code; None where git is not there or knows no such commit.

    Changes that a checkout has not committed add a "+". An installed copy has a commit where it lies below its
    checkout, as ``make install`` puts it, and is equal to what was committed.
    """
    root = package.parent

    def git(*arguments: str) -> str:
        # a copy is compared as if it lay in the checkout, whose index stays as it is
        command = ["git", "--no-optional-locks", "--work-tree=.", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    try:
        git("ls-files", "--error-unmatch", f"{package.name}/__init__.py")
        commit = git("rev-parse", "--short", "HEAD").strip()
        changes = git("status", "--porcelain", "--untracked-files=normal", "--", f"{package.name}/*.py").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    if not (root / ".git").exists():  # a copy, which may lack what is not installed there
        return None if any(not line.startswith(" D") for line in changes) else commit
    return f"{commit}+" if changes else commit
