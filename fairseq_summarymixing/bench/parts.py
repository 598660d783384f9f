"""Where a step's time and memory go: seconds and bytes of each part of our models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..modules.lean.activation_memory import SavedBytes, count_saved_bytes
from .candidates import Candidate

OTHER = "norms, dropout, other"
OBJECTIVE = "quantiser and objective"
PARTS = {
    "feature_extractor": "front end",
    "pos_conv": "positions",
    "mixer": "mixers",
    "feed_forward": "feed-forwards",
    "first_feed_forward": "feed-forwards",
    "second_feed_forward": "feed-forwards",
    "convolution": "convolution modules",
}
"""Modules by the last word of their name. The norm that a module is given to apply counts as the module's."""


class _Mark(torch.autograd.Function):
    """Identity; calls back when its gradient comes by, to say which part backward works on from there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, clock: _Clock, part: str) -> Tensor:
        ctx.clock, ctx.part = clock, part
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ctx.clock.switch(ctx.part)
        return gradient, None, None


class _Clock:
    """Gives the seconds and the saved bytes since the last switch to the part at work."""

    def __init__(self, saved: SavedBytes, device: str):
        self.saved, self.device = saved, device
        self.found: dict[str, dict[str, float]] = {}
        self.phase, self.part = "forward", OTHER
        self.since, self.bytes = time.perf_counter(), 0

    def switch(self, part: str) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        seen = self.found.setdefault(self.part, {"forward": 0.0, "backward": 0.0, "saved_bytes": 0})
        total = self.saved.total
        seen[self.phase] += time.perf_counter() - self.since
        seen["saved_bytes"] += total - self.bytes
        self.part, self.since, self.bytes = part, time.perf_counter(), total


def measure_parts(candidate: Candidate, device: str) -> dict[str, dict[str, float]]:
    """One step more, with marks at the borders of parts: {part: {forward, backward, saved_bytes}}.

    Seconds of one repetition and bytes. Backward visits the borders in reverse, so what :mod:`~..modules.recompute`
    computes again there counts as the backward of its own part. A storage that two parts keep is the first one's.
    """
    with count_saved_bytes(candidate.module) as saved, _marked(candidate.module, clock := _Clock(saved, device)):
        loss = candidate.forward()
        clock.switch(clock.part)
    clock.phase = "backward"
    loss.backward()
    clock.switch(OTHER)
    candidate.module.zero_grad(set_to_none=True)
    return clock.found


@contextmanager
def _marked(model: nn.Module, clock: _Clock) -> Iterator[None]:
    with ExitStack() as handles:
        for name, module in model.named_modules():
            part = PARTS.get(name.rpartition(".")[2])
            if part is not None:
                handles.callback(module.register_forward_pre_hook(_border(clock, OTHER, part)).remove)
                handles.callback(module.register_forward_hook(_far_border(clock, part)).remove)
            elif name == "final_proj":  # the first of the objective, which lasts to the loss
                handles.callback(module.register_forward_pre_hook(_border(clock, OTHER, OBJECTIVE)).remove)
        yield


def _border(clock: _Clock, outside: str, part: str) -> Any:
    def enter(module: nn.Module, inputs: tuple) -> tuple:
        clock.switch(part)
        return (_Mark.apply(inputs[0], clock, outside), *inputs[1:])

    return enter


def _far_border(clock: _Clock, part: str) -> Any:
    def leave(module: nn.Module, inputs: tuple, output: Any) -> Any:
        marked = (
            (_Mark.apply(output[0], clock, part), *output[1:])
            if isinstance(output, tuple)
            else _Mark.apply(output, clock, part)
        )
        clock.switch(OTHER)
        return marked

    return leave
