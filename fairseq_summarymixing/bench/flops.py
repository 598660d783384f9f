"""Count the floating-point operations of a training step."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch

from .candidates import Candidate


def step_flops(candidate: Candidate) -> float:
    """Count the operations of one forward and backward pass; NaN before torch 2.1."""
    counter = flop_counter()
    with counter:
        candidate.forward().backward()
    candidate.module.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) if hasattr(counter, "get_total_flops") else float("nan")


def flop_counter() -> Any:
    """Return a context that counts operations; before torch 2.1 one that counts nothing."""
    try:
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError:  # torch < 2.1
        return nullcontext()
    return FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward_flops}
    )


def _convolution_backward_flops(gradient: Any, x: Any, weight: Any, *options: Any, **_: Any) -> int:
    """Count from shapes: a forward's operations for each of input and weight that wants a gradient. torch's own count
    takes the weight's times the number of groups. Not for transposed convolutions."""
    wanted = options[-1]
    return 2 * math.prod(gradient[:1] + gradient[2:]) * math.prod(weight) * (wanted[0] + wanted[1])
