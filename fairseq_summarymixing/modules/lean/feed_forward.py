"""The feed-forward network after a LayerNorm, of which two products are stored for the backward pass."""

from typing import Optional

from torch import Tensor, nn

from ..feed_forward import FeedForward
from .dropout import LeanDropout, apply_mask, draw_mask
from .linear import linear, linear_after
from .stepping_aside import is_known, is_plain


class LeanFeedForward(FeedForward):
    """A ``FeedForward`` that stores the outputs of fc1 and draws its dropout mask at once."""

    computes_in_chunks = True

    def forward(self, x: Tensor) -> Tensor:
        return feed_forward_after(None, self, x) if self.parts_are_plain() else super().forward(x)

    def parts_are_plain(self) -> bool:
        """Return whether :func:`feed_forward_after` may compute what the parts would."""
        linears_are_plain = is_plain(self.fc1, nn.Linear) and is_plain(self.fc2, nn.Linear)
        return linears_are_plain and is_plain(self.dropout, LeanDropout) and is_known(self.activation)


def normalised_feed_forward(layer_norm: nn.LayerNorm, feed_forward: FeedForward, x: Tensor) -> Tensor:
    """Compute feed_forward(layer_norm(x)) without storing what the norm gives. x: (B, T, D)."""
    modules_are_plain = is_plain(layer_norm, nn.LayerNorm) and is_plain(feed_forward, LeanFeedForward)
    if not (modules_are_plain and feed_forward.parts_are_plain()):
        return feed_forward(layer_norm(x))
    return feed_forward_after(layer_norm, feed_forward, x)


def feed_forward_after(layer_norm: Optional[nn.LayerNorm], feed_forward: FeedForward, x: Tensor) -> Tensor:
    """Compute feed_forward(layer_norm(x)), without a norm feed_forward(x); stored are x and the output of fc1.

    The parts must be plain (:mod:`.stepping_aside`). x: (B, T, D). Returns (B, T, D).
    """
    fc1, fc2, dropout = feed_forward.fc1, feed_forward.fc2, feed_forward.dropout
    if layer_norm is None:
        hidden = linear(x, fc1.weight, fc1.bias)
    else:
        hidden = linear_after(layer_norm.forward, fc1.weight, fc1.bias, x, parameters=layer_norm.parameters())

    def activate(hidden: Tensor, mask: Optional[Tensor]) -> Tensor:
        return apply_mask(dropout, feed_forward.activation(hidden), mask)

    return linear_after(activate, fc2.weight, fc2.bias, hidden, draw_mask(dropout, hidden))
