"""Measure candidates in turn, in one process, and write the results as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError, counted, is_out_of_memory, one_line
from ..input_files import check_file
from ..modules.compiling import compile_layers
from ..modules.encoder import Encoder
from ..modules.lean.activation_memory import count_activation_bytes
from ..modules.wav2vec2 import Wav2Vec2
from .candidates import CANDIDATES, SHAPES, Candidate, Unavailable, build
from .flops import step_flops
from .machine import describe_machine
from .parts import measure_parts
from .peak_memory import peak_bytes
from .timing import summary, time_step

try:
    from tqdm import tqdm
except ImportError:  # there may be torch alone

    def tqdm(items: Iterable, **_: Any) -> Iterable:
        return items


BEGIN = b'{"work": '  # of every record
MOST = 1_000_000  # seconds of an utterance, utterances, turns
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
    """Measure each candidate at each length; candidates take turns, so that changes in the machine's speed affect all.

    A repetition is forward, backward and AdamW in training mode. The results are medians over ``repeat`` repetitions,
    after a warm-up that also counts operations and bytes. Of our encoders and steps, one more repetition is timed part
    by part. A candidate that memory does not hold is skipped, with the reason; where the system kills the process
    instead, set ``ulimit -v`` first.

    Raises:
        UserError: a name is unknown, or the device is not there.
    """
    _check(work, shape, names, device, dtype)
    check_counts(seconds, batch=batch, repeat=repeat)
    return _measure(work, shape, seconds, names or CANDIDATES[work], batch, repeat, device, dtype, compiled)


def _measure(
    work: str,
    shape: str,
    seconds: Sequence[float],
    names: Iterable[str],
    batch: int,
    repeat: int,
    device: str,
    dtype: str,
    compiled: bool,
) -> Iterator[dict[str, Any]]:
    machine = describe_machine(device, DTYPES[dtype])
    for length in seconds:
        runners: list[_Runner] = []
        for name in names:
            record = dict(work=work, shape=shape, candidate=name, batch=batch, seconds=length, dtype=dtype)
            record.update(device=device, compiled=compiled, repeat=repeat, **machine)
            runners.append(_Runner(record, device))
            runners[-1].attempt(lambda runner: runner.build(DTYPES[dtype]))
        title = f"{work} {shape} {batch} x {length:g} s"
        for runner in tqdm(runners, desc=f"{title}, warm-up", unit="candidate", disable=None):
            runner.attempt(_Runner.count)
        for _ in tqdm(range(repeat), desc=title, unit="turn", disable=None):
            for runner in runners:
                runner.attempt(_Runner.time)
        for runner in runners:
            runner.attempt(_Runner.finish)
            yield runner.record


class _Runner:
    """A candidate, its optimizer and the record that is filled; a candidate that fails is skipped with the reason."""

    def __init__(self, record: dict[str, Any], device: str):
        self.record, self.device = record, device
        self.times: list[tuple[float, ...]] = []

    def attempt(self, task: Callable[[_Runner], None]) -> None:
        """Call a function, unless the candidate is skipped; skip it for want of memory or of a package."""
        if "skipped" in self.record:
            return
        try:
            task(self)
        except Unavailable as error:
            self._skip(str(error))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._skip(f"out of memory ({one_line(error)})")

    def _skip(self, reason: str) -> None:
        """Record why the candidate is not measured, and give its memory back to the others."""
        self.record["skipped"] = reason
        self.candidate = self.optimizer = None

    def build(self, dtype: torch.dtype) -> None:
        names = ("work", "shape", "candidate", "batch", "seconds", "device")
        self.candidate = build(*(self.record[name] for name in names), dtype)
        self.optimizer = torch.optim.AdamW(self.candidate.module.parameters(), lr=1e-6)

    def count(self) -> None:
        # before they are compiled: torch compiles nothing that is counted
        self.record["flops"] = step_flops(self.candidate)
        if self.record["compiled"]:
            compile_layers(self.candidate.module)
            time_step(self.candidate, self.optimizer, self.device)
        self.record.update(_memory(self.candidate, self.optimizer))

    def time(self) -> None:
        self.times.append(time_step(self.candidate, self.optimizer, self.device))

    def finish(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.record["floor_seconds"] = self.record["flops"] / self.record["matmul_flops_per_second"]
        if isinstance(self.candidate.module, (Encoder, Wav2Vec2)) and not self.record["compiled"]:
            self.record["parts"] = measure_parts(self.candidate, self.device)
        self.record.update(summary(self.times))
        self.candidate = self.optimizer = None


def _check(work: str, shape: str, names: Iterable[str] | None, device: str, dtype: str) -> None:
    known = {"work": (work, CANDIDATES), "shape": (shape, SHAPES), "dtype": (dtype, DTYPES)}
    for argument, (value, choices) in known.items():
        if value not in choices:
            raise UserError(f"`{argument}` must be one of {', '.join(choices)}; got {value}")
    for name in names or ():
        if name not in CANDIDATES[work]:
            raise UserError(f"`names` of {work} are {', '.join(CANDIDATES[work])}; got {name}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("`device` cuda: torch finds no GPU here; measure on the CPU, `device` cpu")


def parse_seconds(text: str) -> list[float]:
    """Return lengths of audio that are written with commas between; a UserError where one is no number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"`seconds` must be numbers with commas between; got {text}") from error


def check_counts(seconds: Sequence[float], **counts: int) -> None:
    """Raise a UserError where there is nothing to measure, or more than torch can count.

    Args:
        seconds: lengths of audio.
        counts: such as ``repeat=5``.
    """
    for length in seconds:
        if not length >= 0.1:
            raise UserError(f"`seconds` must be at least 0.1; got {length:g}")
    for argument, count in counts.items():
        if count < 1:
            raise UserError(f"`{argument}` must be at least 1; got {count}")
    for argument, number in {"seconds": max(seconds), **counts}.items():
        if number > MOST:
            raise UserError(f"`{argument}` must be at most {MOST}; got {number}")


def _memory(candidate: Candidate, optimizer: torch.optim.Optimizer) -> dict[str, float | None]:
    """Count one step's activation memory in bytes, and measure its largest memory."""
    with count_activation_bytes(candidate.module) as saved:
        loss = candidate.forward()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"activation_bytes": saved.total, "peak_bytes": peak_bytes(candidate)}


def run(out: str | Path, **options: Any) -> str:
    """Append the records of :func:`measure` to ``out`` as they come, and return a line that summarises them."""
    count = 0
    records = measure(**options)  # mistakes in options and path are errors before anything is measured
    _append(out, _check_output(out))
    for record in records:
        _append(out, json.dumps(record) + "\n")
        count += 1
    return f"{counted(count, 'record')} in {out}; next: fairseq-summarymixing bench report {out} --out DIR"


def _check_output(out: str | Path) -> str:
    """Return what to write before the next record: a line end where a run that was killed cut its last line.

    Raises:
        UserError: ``out`` is something else than a file of records.
    """
    check_file(out)
    if not os.path.exists(out) or not os.path.getsize(out):
        return ""
    with open(out, "rb") as file:
        begin = file.read(len(BEGIN))
        file.seek(-1, os.SEEK_END)
        end = file.read(1)
    if not begin.startswith(BEGIN[: len(begin)]):
        raise UserError(f"{out} holds something else than records of bench run: name another file")
    return "" if end == b"\n" else "\n"


def _append(out: str | Path, text: str) -> None:
    try:
        with open(out, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; name a file in a folder that is there") from error
