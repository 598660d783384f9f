"""Measure candidates in turn, in one process, and write what was seen as JSON lines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from .. import __version__
from ..errors import UserError
from .candidates import CANDIDATES, SHAPES, Candidate, NotHere, build
from .saved_bytes import count_saved_bytes

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PHASES = ("forward", "backward", "optimizer")


def measure(
    work: str,
    shape: str,
    seconds: Sequence[float],
    names: Sequence[str] | None = None,
    batch: int = 1,
    repeat: int = 5,
    device: str = "cpu",
    dtype: str = "fp32",
    compiled: bool = False,
) -> Iterator[dict[str, Any]]:
    """One record for each length and candidate; candidates take turns, so that the machine's moods hit all alike.

    A repetition is forward, backward and AdamW in training mode. Reported are medians over ``repeat``, after one
    warm-up that also counts operations and bytes.

    Raises:
        UserError: a name is unknown, or the device is not there.
    """
    _check(work, shape, names, device, dtype)
    machine = describe_machine(device, DTYPES[dtype])
    for length in seconds:
        candidates, records = [], []
        for name in names or CANDIDATES[work]:
            record = {
                "work": work, "shape": shape, "candidate": name, "batch": batch, "seconds": length,
                "dtype": dtype, "device": device, "compiled": compiled, "repeat": repeat, **machine,
            }  # fmt: skip
            try:
                candidate = build(work, shape, name, batch, length, device, DTYPES[dtype])
            except NotHere as reason:
                yield {**record, "skipped": str(reason)}
                continue
            if compiled:
                candidate.module.compile()
            candidates.append((candidate, torch.optim.AdamW(candidate.module.parameters(), lr=1e-6)))
            records.append(record)
        for (candidate, optimizer), record in zip(candidates, records):
            record.update(_count(candidate, optimizer))
        times: list[list[tuple[float, ...]]] = [[] for _ in candidates]
        for _ in tqdm(range(repeat), desc=f"{work} {shape} {batch} x {length:g} s", unit="turn", disable=None):
            for seen, (candidate, optimizer) in zip(times, candidates):
                seen.append(_time_step(candidate, optimizer, device))
        for record, seen in zip(records, times):
            yield {**record, **_summary(seen), "floor_seconds": record["flops"] / machine["matmul_flops_per_second"]}


def _check(work: str, shape: str, names: Iterable[str] | None, device: str, dtype: str) -> None:
    known = {"work": (work, CANDIDATES), "shape": (shape, SHAPES), "dtype": (dtype, DTYPES)}
    for option, (value, choices) in known.items():
        if value not in choices:
            raise UserError(f"--{option} must be one of {', '.join(choices)}; got {value}")
    for name in names or ():
        if name not in CANDIDATES[work]:
            raise UserError(f"--candidates of {work} are {', '.join(CANDIDATES[work])}; got {name}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: this torch sees no GPU")


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _time_step(candidate: Candidate, optimizer: torch.optim.Optimizer, device: str) -> tuple[float, ...]:
    """Seconds of each of :data:`PHASES`."""
    optimizer.zero_grad(set_to_none=True)
    _synchronise(device)
    moments = [time.perf_counter()]
    loss = candidate.forward()
    _synchronise(device)
    moments.append(time.perf_counter())
    loss.backward()
    _synchronise(device)
    moments.append(time.perf_counter())
    optimizer.step()
    _synchronise(device)
    moments.append(time.perf_counter())
    return tuple(after - before for before, after in zip(moments, moments[1:]))


def _summary(times: Sequence[tuple[float, ...]]) -> dict[str, float]:
    steps = sorted(step[0] + step[1] for step in times)
    found = {name: statistics.median(phase) for name, phase in zip(PHASES, zip(*times))}
    return {**found, "step": statistics.median(steps), "fastest_step": steps[0], "slowest_step": steps[-1]}


def _count(candidate: Candidate, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """One step's operations, bytes kept for backward, and largest memory beyond what was there before it."""
    counter = _flop_counter()
    with counter, count_saved_bytes(candidate.module) as saved:
        loss = candidate.forward()
    with counter:
        loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    flops = float(counter.get_total_flops()) if hasattr(counter, "get_total_flops") else float("nan")
    return {"flops": flops, "saved_bytes": saved.total, "peak_bytes": _peak_bytes(candidate)}


def _flop_counter() -> Any:
    try:
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError:  # torch < 2.1
        return nullcontext()
    return FlopCounterMode(display=False)


def _peak_bytes(candidate: Candidate) -> int | None:
    """Of forward and backward, beyond weights and optimizer; None where the system cannot tell."""
    if next(candidate.module.parameters()).is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        candidate.forward().backward()
        return torch.cuda.max_memory_allocated() - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: sets the peak to what is resident now
        before = _status_kilobytes("VmHWM")
        candidate.forward().backward()
        return (_status_kilobytes("VmHWM") - before) * 1024
    except OSError:
        return None


def _status_kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def describe_machine(device: str = "cpu", dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Hardware, versions, and how many operations a second a bare matrix product reaches."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {
        "machine": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "version": __version__,
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "matmul_flops_per_second": matmul_rate(device, dtype),
    }


def matmul_rate(device: str, dtype: torch.dtype, rows: int = 1500, columns: int = 768, hidden: int = 3072) -> float:
    """Operations per second of the feed-forward's own product, over at least half a second."""
    left = torch.randn(rows, columns, device=device, dtype=dtype)
    layer = nn.Linear(columns, hidden, bias=False, device=device, dtype=dtype)
    with torch.no_grad():
        layer(left)
        _synchronise(device)
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < 0.5:
            layer(left)
            count += 1
            _synchronise(device)
        return 2 * rows * columns * hidden * count / (time.perf_counter() - begun)


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") if os.path.exists("/proc/cpuinfo") else nullcontext([]) as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
    return found.stdout.strip() or None


def run(out: str | Path, **options: Any) -> str:
    """Append the records of :func:`measure` to ``out`` as they come. Returns one line for people."""
    count = 0
    try:
        with open(out, "a", encoding="utf-8") as file:
            for record in measure(**options):
                file.write(json.dumps(record) + "\n")
                file.flush()
                count += 1
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error
    return f"{count} records in {out}; next: fairseq-summarymixing bench report {out} --out DIR"
