"""The position-wise feed-forward network of an encoder layer."""

from typing import Optional

from torch import Tensor, nn

from .activations import get_activation
from .dropout import Dropout
from .linear import Linear, linear_after


class FeedForward(nn.Module):
    """fc2(dropout(activation(fc1(x)))), the same for each frame. Maps (B, T, D) to (B, T, D).

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, Section 3.3.
    """

    computes_in_chunks = True

    def __init__(self, model_dim: int, ffn_dim: int, activation: str = "gelu", dropout: float = 0.0):
        super().__init__()
        self.fc1 = Linear(model_dim, ffn_dim)
        self.fc2 = Linear(ffn_dim, model_dim)
        self.activation = get_activation(activation)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, layer_norm: Optional[nn.LayerNorm] = None) -> Tensor:
        """x: (B, T, D). ``layer_norm`` is applied first; its output is not kept for backward."""
        fc1, fc2 = self.fc1, self.fc2
        if layer_norm is None:
            hidden = fc1(x)
        else:
            hidden = linear_after(layer_norm.forward, fc1.weight, fc1.bias, x, parameters=layer_norm.parameters())
        return linear_after(self._activate, fc2.weight, fc2.bias, hidden, self.dropout.draw(hidden))

    def _activate(self, hidden: Tensor, mask: Optional[Tensor]) -> Tensor:
        return self.dropout.apply_mask(self.activation(hidden), mask)
