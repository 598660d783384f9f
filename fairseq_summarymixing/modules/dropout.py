"""Dropout whose mask is drawn apart from its use, so that what is computed again in backward has the same mask."""

import math
from typing import Optional, Sequence

import torch
from torch import Tensor, nn

from .recompute import is_compiling


class Dropout(nn.Module):
    """Zero each element with probability p in training and scale the others by 1 / (1 - p), as ``nn.Dropout``.

    ``forward`` draws and applies; :meth:`draw` and :meth:`apply_mask` do one each.

    On the CPU PyTorch's own dropout costs more than half of the matrix product beside it, nearly all of it for
    random numbers of 53 bits; 16 bits are drawn here.
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout must lie between 0 and 1; got {p}")
        self.p = p

    def draw(self, x: Tensor, shape: Optional[Sequence[int]] = None) -> Optional[Tensor]:
        """Which elements stay: bool, of this shape or else that of x, where x is; None where all do."""
        if not self.training or self.p == 0:
            return None
        shape = x.shape if shape is None else shape
        if x.is_cuda or is_compiling():
            return torch.empty(shape, dtype=torch.bool, device=x.device).bernoulli_(1 - self.p)
        size = math.prod(shape)
        words = torch.empty((size + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        threshold = min(round(self.p * 2**16), 2**16 - 1) - 2**15
        return (words.view(torch.int16)[:size] >= threshold).view(shape)

    def apply_mask(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
        """x with the mask that :meth:`draw` gave."""
        if mask is None:
            return x
        return x * mask * (1 / (1 - self.p) if self.p < 1 else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_mask(x, self.draw(x))

    def extra_repr(self) -> str:
        return f"p={self.p}"
