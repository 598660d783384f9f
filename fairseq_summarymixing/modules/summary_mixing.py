"""SummaryMixing: a mixer of linear cost in place of self-attention.

Parcollet et al., "SummaryMixing: A Linear-Complexity Alternative to Self-Attention for Speech Recognition and
Understanding", Interspeech 2024, Section 2; with the LayerNorms of Zhang et al., "Linear-Complexity Self-Supervised
Learning for Speech Processing", Interspeech 2024.
"""

import math
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def masked_mean(x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
    """Average the real frames of each utterance, in at least fp32: a half-precision sum over an hour would overflow.

    x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, 1, D); 0 for a row that is all padding.
    """
    accumulate = torch.promote_types(x.dtype, torch.float32)
    if padding_mask is None:
        return x.mean(dim=1, keepdim=True, dtype=accumulate).to(x.dtype)
    total = x.masked_fill(padding_mask.unsqueeze(-1), 0).sum(dim=1, keepdim=True, dtype=accumulate)
    count = (~padding_mask).sum(dim=1).clamp(min=1).view(-1, 1, 1)
    return (total / count).to(x.dtype)


class BlockDiagonalLinear(nn.Module):
    """A linear layer with a block-diagonal weight, one block (D/n x D'/n) per head. Maps (B, T, D) to (B, T, D')."""

    def __init__(self, model_dim: int, hidden_dim: int, num_heads: int):
        super().__init__()
        for name, dim in (("model_dim", model_dim), ("hidden_dim", hidden_dim)):
            if num_heads < 1 or dim < 1 or dim % num_heads:
                raise ValueError(f"{name} must be a positive multiple of num_heads; got {dim} and {num_heads}")
        bound = 1 / math.sqrt(model_dim // num_heads)  # as nn.Linear, with the fan-in of one block
        shape = (num_heads, model_dim // num_heads, hidden_dim // num_heads)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_heads, 1, shape[2]).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        # (B, T, D) -> (n, B x T, D/n), and back with D'
        heads = x.flatten(0, 1).unflatten(1, (len(self.weight), -1)).transpose(0, 1)
        return torch.baddbmm(self.bias, heads, self.weight).transpose(0, 1).flatten(1).unflatten(0, x.shape[:2])


class Branch(nn.Module):
    """The local branch f or the summary branch s: two activated block-diagonal layers. Maps (B, T, D) to (B, T, D')."""

    computes_in_chunks = True

    def __init__(self, model_dim: int, hidden_dim: int, num_heads: int, activation: Callable):
        super().__init__()
        self.linear1 = BlockDiagonalLinear(model_dim, hidden_dim, num_heads)
        self.linear2 = BlockDiagonalLinear(hidden_dim, hidden_dim, num_heads)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.linear2(self.activation(self.linear1(x))))


class SummaryMixing(nn.Module):
    """The mixer h_t = c([LN(f(x_t)) ; LN(mean_t s(x_t))]): each frame combined with one average over the utterance.

    Args:
        model_dim, hidden_dim: features D of input and output; features D' of the branches (None = D).
        num_heads: groups n that f and s cut the features into; a ValueError is raised unless it divides D and D'.
        dropout: probability of zeroing a feature of the joined vector; those of the summary for a whole utterance.
        activation, branch_norm: function after every linear layer; whether LayerNorms follow f and the mean of s.
    """

    computes_in_chunks = True

    def __init__(
        self,
        model_dim: int,
        num_heads: int = 8,
        hidden_dim: Optional[int] = None,
        dropout: float = 0.1,
        activation: Callable = F.gelu,
        branch_norm: bool = True,
    ):
        super().__init__()
        hidden_dim = model_dim if hidden_dim is None else hidden_dim
        self.local = Branch(model_dim, hidden_dim, num_heads, activation)
        self.summary = Branch(model_dim, hidden_dim, num_heads, activation)
        self.local_norm = nn.LayerNorm(hidden_dim) if branch_norm else nn.Identity()
        self.summary_norm = nn.LayerNorm(hidden_dim) if branch_norm else nn.Identity()
        self.combiner = nn.Linear(2 * hidden_dim, model_dim)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Mix each utterance's frames. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        return self.mix(x, masked_mean(self.summary(x), padding_mask))

    def mix(self, x: Tensor, mean: Tensor) -> Tensor:
        """Combine each frame of x (B, T, D) with ``mean`` (B, 1, D'), the mean of s over the utterance: (B, T, D)."""
        summary = self.dropout(self.summary_norm(mean))
        local = self.dropout(self.local_norm(self.local(x)))
        return self.activation(self.combiner(torch.cat([local, summary.expand_as(local)], dim=-1)))


class SummaryMixingLite(nn.Module):
    """The mixer h_t = mean_t s(x_t): all frames get the summary; the layer's other parts keep what is local."""

    computes_in_chunks = True

    def __init__(self, model_dim: int, num_heads: int = 8, activation: Callable = F.gelu):
        super().__init__()
        self.summary = Branch(model_dim, model_dim, num_heads, activation)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Average s over real frames: (B, T, D) to (B, T, D), constant in T. padding_mask: (B, T), True = padding."""
        return self.mix(x, masked_mean(self.summary(x), padding_mask))

    def mix(self, x: Tensor, mean: Tensor) -> Tensor:
        return mean.expand_as(x)
