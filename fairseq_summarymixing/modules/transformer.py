"""The transformer encoder layer of wav2vec 2.0, around any mixer."""

from typing import Optional

from torch import Tensor, nn

from .feed_forward import FeedForward


class TransformerLayer(nn.Module):
    """A transformer layer: mixer and feed-forward, each with dropout, a residual connection and a LayerNorm.

    Args:
        mixer: a module called as ``mixer(x, padding_mask)``, (B, T, D) to (B, T, D).
        feed_forward: the position-wise network.
        model_dim: features D.
        dropout: on the output of both.
        layer_norm_first: normalise the input of each part (wav2vec 2.0 large) instead of the sum after it (base).
    """

    computes_in_chunks = True

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
        self.dropout = nn.Dropout(dropout)
        self.layer_norm_first = layer_norm_first
        self.embedding_dim = model_dim  # fairseq's classification head reads it off the last layer

    context = 0
    """Frames on either side that a frame sees by other ways than the mixer."""

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Apply the layer. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        return self.after_mixer(x, self.mixer(self.mixer_input(x), padding_mask), padding_mask)

    def before_mixer(self, x: Tensor) -> Tensor:
        """Return x as it is; the conformer has its first feed-forward here."""
        return x

    def mixer_input(self, x: Tensor) -> Tensor:
        """Return the mixer's input for x, (B, T, D) each."""
        return self.mixer_layer_norm(x) if self.layer_norm_first else x

    def after_mixer(self, x: Tensor, mixed: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Return the layer's output, given x and the mixer's output ``mixed``, (B, T, D) each."""
        x = x + self.dropout(mixed)
        if self.layer_norm_first:
            return x + self.dropout(self.feed_forward(self.final_layer_norm(x)))
        x = self.mixer_layer_norm(x)
        return self.final_layer_norm(x + self.dropout(self.feed_forward(x)))
