"""The feed-forward network after a LayerNorm, of which two products are stored for the backward pass."""

from typing import Optional

from torch import Tensor, nn

from ..feed_forward import FeedForward
from .dropout import apply_mask, draw_mask
from .linear import linear, linear_after
from .stepping_aside import are_plain


class LeanFeedForward(FeedForward):
    """A ``FeedForward`` that stores the outputs of fc1 and draws its dropout mask at once."""

    computes_in_chunks = True

    def forward(self, x: Tensor) -> Tensor:
        return feed_forward_after(None, self, x) if are_plain(*self.children()) else super().forward(x)


def normalised_feed_forward(layer_norm: nn.LayerNorm, feed_forward: FeedForward, x: Tensor) -> Tensor:
    """Compute feed_forward(layer_norm(x)) without storing what the norm gives. x: (B, T, D)."""
    if not are_plain(layer_norm, feed_forward):
        return feed_forward(layer_norm(x))
    return feed_forward_after(layer_norm, feed_forward, x)


def feed_forward_after(layer_norm: Optional[nn.LayerNorm], feed_forward: FeedForward, x: Tensor) -> Tensor:
    fc1, fc2, dropout = feed_forward.fc1, feed_forward.fc2, feed_forward.dropout
    if layer_norm is None:
        hidden = linear(x, fc1.weight, fc1.bias)
    else:
        hidden = linear_after(layer_norm.forward, fc1.weight, fc1.bias, x, parameters=layer_norm.parameters())

    def activate(hidden: Tensor, mask: Optional[Tensor]) -> Tensor:
        return apply_mask(dropout, feed_forward.activation(hidden), mask)

    return linear_after(activate, fc2.weight, fc2.bias, hidden, draw_mask(dropout, hidden))
