"""The transformer encoder layer of wav2vec 2.0, around any mixer."""

from typing import Optional

from torch import Tensor, nn

from .dropout import Dropout
from .feed_forward import FeedForward


class TransformerLayer(nn.Module):
    """Mixer and feed-forward, each with dropout, a residual connection and a LayerNorm.

    Args:
        mixer: a module called as ``mixer(x, padding_mask)``, (B, T, D) to (B, T, D).
        feed_forward: the position-wise network.
        model_dim: features D.
        dropout: on the output of both.
        layer_norm_first: normalise the input of each part (wav2vec 2.0 large) instead of the sum
            behind it (base).
    """

    def __init__(
        self,
        mixer: nn.Module,
        feed_forward: FeedForward,
        model_dim: int,
        dropout: float = 0.1,
        layer_norm_first: bool = False,
    ):
        super().__init__()
        self.mixer = mixer
        self.mixer_layer_norm = nn.LayerNorm(model_dim)
        self.feed_forward = feed_forward
        self.final_layer_norm = nn.LayerNorm(model_dim)
        self.dropout = Dropout(dropout)
        self.layer_norm_first = layer_norm_first
        self.embedding_dim = model_dim  # fairseq's classification head reads it off the last layer

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """x: (B, T, D); padding_mask: (B, T), True = padding. Returns (B, T, D)."""
        if self.layer_norm_first:
            x = x + self.dropout(self.mixer(self.mixer_layer_norm(x), padding_mask))
            return x + self.dropout(self.feed_forward(x, self.final_layer_norm))
        x = self.mixer_layer_norm(x + self.dropout(self.mixer(x, padding_mask)))
        return self.final_layer_norm(x + self.dropout(self.feed_forward(x)))
