"""SummaryMixing that computes the summary's half of the combiner once per utterance and stores little.

The summary is the same for all frames, so W_c [f ; s_bar] = W_f f + W_s s_bar needs its second product once. Of each
branch, the output of the first product is stored for the backward pass, and nothing else.
"""

from typing import Optional

import torch
from torch import Tensor, nn

from ..summary_mixing import BlockDiagonalLinear, Branch, SummaryMixing, SummaryMixingLite, masked_mean
from .dropout import LeanDropout, apply_mask, draw_mask
from .linear import linear, linear_after
from .recompute import recompute
from .stepping_aside import is_known, is_plain


class LeanBranch(Branch):
    """A ``Branch`` that keeps heads first between its products."""

    computes_in_chunks = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.parts_are_plain():
            return super().forward(x)
        return after_first_product(self, first_product(self, x), *x.shape[:2])

    def parts_are_plain(self) -> bool:
        """Return whether the functions of this file may compute what the parts would."""
        return (
            is_plain(self.linear1, BlockDiagonalLinear)
            and is_plain(self.linear2, BlockDiagonalLinear)
            and len(self.linear1.weight) == len(self.linear2.weight)  # heads stay first from one to the other
            and is_known(self.activation)
        )


class LeanSummaryMixing(SummaryMixing):
    """The lean ``SummaryMixing``."""

    computes_in_chunks = True

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        if not branch_is_plain(self.summary):
            return super().forward(x, padding_mask)
        return self.mix(x, branch_mean(self.summary, x, padding_mask))

    def mix(self, x: Tensor, mean: Tensor) -> Tensor:
        if not self.mixing_parts_are_plain():
            return super().mix(x, mean)
        dropout, norm = self.dropout, self.local_norm
        summary = dropout(self.summary_norm(mean))
        hidden = first_product(self.local, x)
        mask = draw_mask(dropout, x, (*x.shape[:2], mean.shape[-1]))
        local_weight, summary_weight = self.combiner.weight.chunk(2, dim=1)

        def finish_local(hidden: Tensor, mask: Optional[Tensor]) -> Tensor:
            local = norm.forward(after_first_product(self.local, hidden, 1, hidden.shape[1]))
            return apply_mask(dropout, local, None if mask is None else mask.view_as(local))

        parameters = [*self.local.linear2.parameters(), *norm.parameters()]
        combined = linear_after(finish_local, local_weight, None, hidden, mask, parameters=parameters)
        return self.activation(combined.view_as(x) + linear(summary, summary_weight, self.combiner.bias))

    def mixing_parts_are_plain(self) -> bool:
        """Return whether :meth:`mix` may compute what the parts would."""
        return (
            branch_is_plain(self.local)
            and is_plain(self.local_norm, nn.LayerNorm, nn.Identity)
            and is_plain(self.combiner, nn.Linear)
            and is_plain(self.dropout, LeanDropout)
        )


class LeanSummaryMixingLite(SummaryMixingLite):
    """The lean ``SummaryMixingLite``."""

    computes_in_chunks = True

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        if not branch_is_plain(self.summary):
            return super().forward(x, padding_mask)
        return self.mix(x, branch_mean(self.summary, x, padding_mask))

    mix = SummaryMixingLite.mix  # a class with a forward of its own states its mix, too


def branch_is_plain(branch: nn.Module) -> bool:
    """Return whether the functions below may compute what a branch would."""
    return is_plain(branch, LeanBranch) and branch.parts_are_plain()


def branch_mean(branch: Branch, x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
    """Compute masked_mean(branch(x), padding_mask). x: (B, T, D). Returns (B, 1, D')."""

    def mean(hidden: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        return masked_mean(after_first_product(branch, hidden, *x.shape[:2]), padding_mask)

    return recompute(mean, first_product(branch, x), padding_mask, parameters=branch.linear2.parameters())


def first_product(branch: Branch, x: Tensor) -> Tensor:
    """Compute the first product of (B, T, D): (n, B x T, D'/n), heads first, not yet activated."""
    layer = branch.linear1
    return torch.baddbmm(
        layer.bias, x.flatten(0, 1).unflatten(1, (len(layer.weight), -1)).transpose(0, 1), layer.weight
    )


def after_first_product(branch: Branch, hidden: Tensor, batch: int, frames: int) -> Tensor:
    """Compute the rest of the branch: (n, B x T, D'/n) to (B, T, D')."""
    layer = branch.linear2
    x = branch.activation(torch.baddbmm(layer.bias, branch.activation(hidden), layer.weight))
    return x.transpose(0, 1).flatten(1).unflatten(0, (batch, frames))
