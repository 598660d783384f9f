"""Count what a training step costs, the same on every machine, and compare it with earlier counts."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import UserError
from ..files import atomic_write
from ..modules.lean.activation_memory import count_activation_bytes
from ..tables import aligned
from .candidates import SHAPES, build
from .measure import flop_counter

FILE = Path(__file__).with_name("counts.json")
MIXERS = ("summary_mixing", "self_attention")
SECONDS = (10, 30)
LAYERS = 2  # what layers cost beyond the first is the same for each
BATCH = 2
WORSE = 1.01

Counts = dict[str, dict[str, int]]


class _Calls(TorchDispatchMode):
    """A counter of the operations that compute something, as a GPU would launch kernels for them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def count() -> Counts:
    """Count the operations, the bytes stored for the backward pass and the calls of torch's operators of one step.

    Without values, on the meta device, of the recipes' sizes with :data:`LAYERS` layers in fp32.

    Returns:
        by "shape, mixer, seconds" the counts by name.
    """
    return {
        f"{shape}, {mixer}, {BATCH} x {seconds} s": _count(shape, mixer, seconds)
        for shape in SHAPES
        for mixer in MIXERS
        for seconds in SECONDS
    }


def _count(shape: str, mixer: str, seconds: float) -> dict[str, int]:
    sizes = SHAPES[shape]
    few = sizes._replace(encoder=dataclasses.replace(sizes.encoder, encoder_layers=LAYERS))
    with mock.patch.dict(SHAPES, {shape: few}), _without_autocast():
        candidate = build("step", shape, mixer, BATCH, seconds, "meta", torch.float32)
        with count_activation_bytes(candidate.module) as saved:
            candidate.forward()
        with _Calls() as calls, flop_counter() as operations:
            candidate.forward().backward()
    return {
        "operations": operations.get_total_flops(),
        "activation_bytes": saved.total,
        "calls": calls.calls,
    }


def _without_autocast() -> Any:
    """Leave out ``torch.autocast``, which knows no meta device."""
    return mock.patch.object(torch, "autocast", lambda *args, **options: contextlib.nullcontext())


def check(path: Path = FILE, write: bool = False) -> str:
    """Compare the counts with those in a file, and say what is better; with ``write`` replace the file by them.

    Raises:
        UserError: a count is above the file's by more than 1 %, or the file cannot be read; every such count is named.
    """
    found = count()
    if write:
        with atomic_write(path) as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        return f"{path} holds {len(found)} steps"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        changes = [
            [step, name, before[step][name], value, f"{value / before[step][name]:.3f}"]
            for step, counts in found.items()
            for name, value in counts.items()
            if value != before[step][name]
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{path} holds no counts of these steps; write them: bench check --write") from error
    table = aligned(["step", "count", "before", "now", "ratio"], [[str(cell) for cell in row] for row in changes])
    worse = [f"{step}: {name}" for step, name, old, new, _ in changes if new > WORSE * old]
    if worse:
        raise UserError(f"a step costs more than 1 % more than in {path.name}: {'; '.join(worse)}", table)
    return table if changes else f"{len(found)} steps cost what they did"
