"""Measure where a step's time and memory go: seconds and bytes of each part of our models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from ..modules.lean import conformer as lean_conformer
from ..modules.lean import transformer as lean_transformer
from ..modules.lean.activation_memory import ActivationBytes, count_activation_bytes
from .candidates import Candidate

OTHER = "norms, dropout, other"
OBJECTIVE = "quantiser and objective"
PART_OF_MODULE = {
    "feature_extractor": "front end",
    "pos_conv": "positions",
    "mixer": "mixers",
    "feed_forward": "feed-forwards",
    "first_feed_forward": "feed-forwards",
    "second_feed_forward": "feed-forwards",
    "convolution": "convolution modules",
}
"""Modules by the last word of their name. The norm before a lean feed-forward or convolution module is part of it."""
FUSED = (
    (lean_transformer, "normalised_feed_forward"),
    (lean_conformer, "normalised_feed_forward"),
    (lean_conformer, "normalised_convolution"),
)
"""Lean layers call these functions in the place of modules, whose hooks would make them step aside."""


class _Mark(torch.autograd.Function):
    """An identity that switches the clock to the part whose backward pass begins, when its gradient arrives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, clock: _Clock, part: str) -> Tensor:
        ctx.clock, ctx.part = clock, part
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ctx.clock.switch(ctx.part)
        return gradient, None, None


class _Clock:
    """A clock that adds seconds and stored bytes to the part at work, at each switch between parts."""

    def __init__(self, saved: ActivationBytes, device: str):
        self.saved, self.device = saved, device
        self.found: dict[str, dict[str, float]] = {}
        self.phase, self.part = "forward", OTHER
        self.since, self.bytes = time.perf_counter(), 0

    def switch(self, part: str) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        seen = self.found.setdefault(self.part, {"forward": 0.0, "backward": 0.0, "activation_bytes": 0})
        total = self.saved.total
        seen[self.phase] += time.perf_counter() - self.since
        seen["activation_bytes"] += total - self.bytes
        self.part, self.since, self.bytes = part, time.perf_counter(), total


def measure_parts(candidate: Candidate, device: str) -> dict[str, dict[str, float]]:
    """Run one more step with marks at the borders of parts; return {part: {forward, backward, activation_bytes}}.

    Times are seconds of one repetition. Backward visits the borders in reverse, so what lean layers recompute there
    counts as the backward pass of its own part. A storage that two parts keep counts for the first.
    """
    with count_activation_bytes(candidate.module) as saved, _marked(candidate.module, clock := _Clock(saved, device)):
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
        for owner, name in FUSED:
            handles.enter_context(mock.patch.object(owner, name, _between_borders(clock, getattr(owner, name))))
        for name, module in model.named_modules():
            part = PART_OF_MODULE.get(name.rpartition(".")[2])
            if part is not None and not _is_fused(model, name):
                handles.callback(module.register_forward_pre_hook(_border(clock, OTHER, part)).remove)
                handles.callback(module.register_forward_hook(_far_border(clock, part)).remove)
            elif name == "final_proj":  # the first of the objective, which lasts to the loss
                handles.callback(module.register_forward_pre_hook(_border(clock, OTHER, OBJECTIVE)).remove)
        yield


def _is_fused(model: nn.Module, name: str) -> bool:
    layer = model.get_submodule(name.rpartition(".")[0])
    is_pre_norm = isinstance(layer, lean_conformer.LeanConformerLayer) or (
        isinstance(layer, lean_transformer.LeanTransformerLayer) and layer.layer_norm_first
    )
    return is_pre_norm and name.rpartition(".")[2] != "mixer"


def _between_borders(clock: _Clock, function: Callable) -> Callable:
    part = "convolution modules" if function.__name__ == "normalised_convolution" else "feed-forwards"

    def marked(layer_norm: nn.Module, module: nn.Module, x: Tensor, *more: Any) -> Tensor:
        clock.switch(part)
        out = function(layer_norm, module, _Mark.apply(x, clock, OTHER), *more)
        clock.switch(OTHER)
        return _Mark.apply(out, clock, part)

    return marked


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
