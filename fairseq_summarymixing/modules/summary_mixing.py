"""SummaryMixing: the linear-cost mixer that stands where self-attention would.

Parcollet, van Dalen, Zhang, Bhattacharya, "SummaryMixing: A Linear-Complexity Alternative to
Self-Attention for Speech Recognition and Understanding", Interspeech 2024, Section 2; with the
branch normalisation of Zhang et al., "Linear-Complexity Self-Supervised Learning for Speech
Processing", Interspeech 2024.
"""

import math
from typing import Optional

import torch
from torch import Tensor, nn

from .activations import get_activation
from .dropout import Dropout
from .linear import Linear, linear, linear_after
from .recompute import recompute


def masked_mean(x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
    """Mean over the real frames of each utterance.

    The sum is accumulated in at least fp32, whatever the precision of ``x``, so that a half-precision
    mean over an hour of frames neither overflows nor stalls.

    Args:
        x: (B, T, D).
        padding_mask: (B, T), bool, True = padding.

    Returns:
        (B, 1, D), in the precision of ``x``. An utterance that is all padding gives 0.
    """
    accumulate = torch.promote_types(x.dtype, torch.float32)
    if padding_mask is None:
        return x.mean(dim=1, keepdim=True, dtype=accumulate).to(x.dtype)
    total = x.masked_fill(padding_mask.unsqueeze(-1), 0).sum(dim=1, keepdim=True, dtype=accumulate)
    count = (~padding_mask).sum(dim=1).clamp(min=1).view(-1, 1, 1)
    return (total / count).to(x.dtype)


class BlockDiagonalLinear(nn.Module):
    """A linear layer for each head: W is block-diagonal, one (D/n x D'/n) block per head.

    ``forward`` maps (n, N, D/n) to (n, N, D'/n), heads first, so that it is one batched product.
    """

    def __init__(self, in_dim: int, out_dim: int, num_heads: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_heads, in_dim // num_heads, out_dim // num_heads))
        self.bias = nn.Parameter(torch.empty(num_heads, 1, out_dim // num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``nn.Linear``, with the fan-in of one block."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class Branch(nn.Module):
    """The local branch f or the summary branch s: two block-diagonal linear layers, each activated.

    ``forward`` maps (B, T, D) to (B, T, D') in two steps, :meth:`first` and :meth:`second`: what lies between is all
    that need be kept for backward.
    """

    computes_in_chunks = True

    def __init__(self, model_dim: int, hidden_dim: int, num_heads: int, activation: str):
        super().__init__()
        self.num_heads = num_heads
        self.linear1 = BlockDiagonalLinear(model_dim, hidden_dim, num_heads)
        self.linear2 = BlockDiagonalLinear(hidden_dim, hidden_dim, num_heads)
        self.activation = get_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x), *x.shape[:2])

    def first(self, x: Tensor) -> Tensor:
        """(B, T, D) to (n, B x T, D'/n), not yet activated."""
        return self.linear1(x.flatten(0, 1).unflatten(1, (self.num_heads, -1)).transpose(0, 1))

    def second(self, hidden: Tensor, batch: int, frames: int) -> Tensor:
        """(n, B x T, D'/n) to (B, T, D')."""
        # forward, not a call: it may run again in backward, and what is hooked into modules must not
        x = self.activation(self.linear2.forward(self.activation(hidden)))
        return x.transpose(0, 1).flatten(1).unflatten(0, (batch, frames))


def branch_mean(branch: Branch, x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
    """masked_mean(branch(x), padding_mask). x: (B, T, D). Returns (B, 1, D')."""

    def mean(hidden: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        return masked_mean(branch.second(hidden, *x.shape[:2]), padding_mask)

    return recompute(mean, branch.first(x), padding_mask)


def _check_dims(model_dim: int, hidden_dim: int, num_heads: int) -> None:
    if num_heads < 1:
        raise ValueError(f"num_heads must be at least 1; got {num_heads}")
    for name, dim in (("model_dim", model_dim), ("hidden_dim", hidden_dim)):
        if dim < 1 or dim % num_heads:
            raise ValueError(f"{name} must be a positive multiple of num_heads; got {dim} and {num_heads}")


class SummaryMixing(nn.Module):
    """h_t = c([LN(f(x_t)) ; LN(mean_t s(x_t))]): each frame combined with one average over the utterance.

    The summary is the same for all frames, so its half of the combiner, W_s s_bar in
    W_c [f ; s_bar] = W_f f + W_s s_bar, is computed once per utterance, and so is its dropout mask.

    Args:
        model_dim: features D of the input and output.
        num_heads: groups n that the features are cut into.
        hidden_dim: features D' of each branch; None = ``model_dim``.
        dropout: probability of zeroing a feature of the joined vector.
        activation: after every linear layer; a name of :data:`~.activations.ACTIVATIONS`.
        branch_norm: a LayerNorm on the output of f and another on the summary.

    Raises:
        ValueError: ``num_heads`` does not divide both dimensions, or the activation is unknown.
    """

    computes_in_chunks = True

    def __init__(
        self,
        model_dim: int,
        num_heads: int = 8,
        hidden_dim: Optional[int] = None,
        dropout: float = 0.1,
        activation: str = "gelu",
        branch_norm: bool = True,
    ):
        super().__init__()
        hidden_dim = model_dim if hidden_dim is None else hidden_dim
        _check_dims(model_dim, hidden_dim, num_heads)
        self.local = Branch(model_dim, hidden_dim, num_heads, activation)
        self.summary = Branch(model_dim, hidden_dim, num_heads, activation)
        self.local_norm = nn.LayerNorm(hidden_dim) if branch_norm else nn.Identity()
        self.summary_norm = nn.LayerNorm(hidden_dim) if branch_norm else nn.Identity()
        self.combiner = Linear(2 * hidden_dim, model_dim)
        self.activation = get_activation(activation)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """x: (B, T, D); padding_mask: (B, T), True = padding. Returns (B, T, D)."""
        return self.mix(x, branch_mean(self.summary, x, padding_mask))

    def mix(self, x: Tensor, mean: Tensor) -> Tensor:
        """What each frame of x (B, T, D) becomes beside ``mean`` (B, 1, D'), the mean of s over the utterance."""
        summary = self.dropout(self.summary_norm(mean))
        hidden = self.local.first(x)
        mask = self.dropout.draw(x, (*x.shape[:2], mean.shape[-1]))
        local_weight, summary_weight = self.combiner.weight.chunk(2, dim=1)
        combined = linear_after(
            self._finish_local, local_weight, None, hidden, mask,
            parameters=[*self.local.linear2.parameters(), *self.local_norm.parameters()],
        )  # fmt: skip
        return self.activation(combined.view_as(x) + linear(summary, summary_weight, self.combiner.bias))

    def _finish_local(self, hidden: Tensor, mask: Optional[Tensor]) -> Tensor:
        local = self.local_norm.forward(self.local.second(hidden, 1, hidden.shape[1]))
        return self.dropout.apply_mask(local, None if mask is None else mask.view_as(local))


class SummaryMixingLite(nn.Module):
    """h_t = mean_t s(x_t): every frame receives the summary itself (SummaryMixing-lite).

    For layers that carry local information elsewhere. Nothing follows the mean: no combiner, LayerNorm or dropout.

    Args:
        model_dim: features D of the input and output.
        num_heads: groups n that the features are cut into.
        hidden_dim: features of the branch, which must be ``model_dim``; None = ``model_dim``.
        activation: after every linear layer; a name of :data:`~.activations.ACTIVATIONS`.

    Raises:
        ValueError: ``num_heads`` does not divide ``model_dim``, ``hidden_dim`` differs from it, or the activation is
            unknown.
    """

    computes_in_chunks = True

    def __init__(self, model_dim: int, num_heads: int = 8, hidden_dim: Optional[int] = None, activation: str = "gelu"):
        super().__init__()
        if hidden_dim not in (None, model_dim):
            raise ValueError(
                "summary_hidden_dim must be the model's width or left out with SummaryMixing-lite, whose frames "
                f"receive the summary itself; got {hidden_dim} and {model_dim}"
            )
        _check_dims(model_dim, model_dim, num_heads)
        self.summary = Branch(model_dim, model_dim, num_heads, activation)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """x: (B, T, D); padding_mask: (B, T), True = padding. Returns (B, T, D), the same at every frame."""
        return self.mix(x, branch_mean(self.summary, x, padding_mask))

    def mix(self, x: Tensor, mean: Tensor) -> Tensor:
        """As :meth:`SummaryMixing.mix`."""
        return mean.expand_as(x)
