"""Dropout whose mask is drawn apart from its use, so that what is recomputed in the backward pass has the same mask.

The draws are not those of ``nn.Dropout``; on the CPU they are 16 bits per element. So with the same seed a plain and a
lean model drop other elements in training, and their values differ; given the same masks they agree.
"""

import math
from typing import Any, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .recompute import is_compiling


def draw_mask(dropout: nn.Dropout, x: Tensor, shape: Optional[Sequence[int]] = None) -> Optional[Tensor]:
    """Draw which elements of x stay: bool, of this shape or else that of x; None where all do.

    On the CPU, PyTorch's own dropout costs more than half of the matrix product beside it, nearly all of it for random
    numbers of 53 bits; 16 bits are drawn here, which round p to a multiple of 2^-16.
    """
    if not dropout.training or dropout.p == 0:
        return None
    shape = x.shape if shape is None else shape
    if x.is_cuda or is_compiling():
        return torch.empty(shape, dtype=torch.bool, device=x.device).bernoulli_(1 - dropout.p)
    size = math.prod(shape)
    words = torch.empty((size + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    threshold = min(round(dropout.p * 2**16), 2**16 - 1) - 2**15
    return (words.view(torch.int16)[:size] >= threshold).view(shape)


def apply_mask(dropout: nn.Dropout, x: Tensor, mask: Optional[Tensor]) -> Tensor:
    """Zero the elements of x that :func:`draw_mask` did not keep and scale the others by 1 / (1 - p)."""
    if mask is None:
        return x
    scale = 1 / (1 - dropout.p) if dropout.p < 1 else 0.0
    if x.is_cuda and not is_compiling():
        return torch.ops.aten.native_dropout_backward(x, mask, scale)  # x * mask * scale, in one kernel
    if x.device.type == "cpu" and not is_compiling():
        return _Masked.apply(x, mask, scale)
    return x * mask * scale


class _Masked(torch.autograd.Function):
    """x * mask * scale in a third of the time on the CPU, where PyTorch converts bool to floats one by one, and bytes
    eight at a time."""

    @staticmethod
    def forward(x: Tensor, mask: Tensor, scale: float) -> Tensor:
        return mask.view(torch.uint8).to(x.dtype).mul_(x).mul_(scale)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Tensor, Tensor, float], output: Tensor) -> None:
        _, mask, ctx.scale = inputs
        ctx.save_for_backward(mask)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor):
        (mask,) = ctx.saved_tensors
        return _Masked.apply(gradient, mask, ctx.scale), None, None


class LeanDropout(nn.Dropout):
    """An ``nn.Dropout`` with the masks of :func:`draw_mask`."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:  # one kernel draws and applies the mask
            return super().forward(x)
        return apply_mask(self, x, draw_mask(self, x))
