"""SummaryMixing without its summary: what a frame's view of the others is worth is measured against it."""

from typing import Callable, Optional

import torch.nn.functional as F
from torch import Tensor, nn

from .summary_mixing import Branch


class NoSummary(nn.Module):
    """The cell h_t = c(LN(f(x_t))), in which no frame sees another: an ablation, not a method.

    A model with it learns from its other layers alone, such as a conformer's convolutions. f, c and the LayerNorm are
    those of :class:`.SummaryMixing`.

    Args:
        model_dim: features D of input and output, and of the branch.
        num_heads: groups that f cuts the features into.
        dropout: probability of zeroing a feature of the branch.
        activation: function after every linear layer.

    Raises:
        ValueError: ``num_heads`` does not divide ``model_dim``.
    """

    def __init__(self, model_dim: int, num_heads: int = 8, dropout: float = 0.1, activation: Callable = F.gelu):
        super().__init__()
        self.local = Branch(model_dim, model_dim, num_heads, activation)
        self.local_norm = nn.LayerNorm(model_dim)
        self.dropout = nn.Dropout(dropout)
        self.combiner = nn.Linear(model_dim, model_dim)
        self.activation = activation

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Map each frame by itself. x: (B, T, D); padding_mask: (B, T), not needed. Returns (B, T, D)."""
        return self.activation(self.combiner(self.dropout(self.local_norm(self.local(x)))))
