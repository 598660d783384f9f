"""HyperMixing: an MLP over time with generated weights, a mixer of linear cost that SummaryMixing is compared with."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .summary_mixing import BlockDiagonalLinear


class Float32LayerNorm(nn.LayerNorm):
    """A LayerNorm that computes in at least fp32, whatever the precision of its parameters, which is the output's."""

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps).to(self.weight.dtype)


class HyperMixing(nn.Module):
    """A mixer by an MLP over time, out = LayerNorm(W2 gelu(W1^T x)). W1 and W2, (T, D') each, are generated: two small
    MLPs map the frame x_t to their rows t.

    Mai, Pannatier, Fehr, Chen, Marelli, Fleuret, Henderson, "HyperMixer: An MLP-based Low Cost Alternative to
    Transformers", ACL 2023, untied: W1 and W2 have an MLP each. Positions are in x already. There are n heads, each of
    which mixes D/n features with D'/n hidden units, as in Mai, Zuluaga-Gomez, Parcollet, Motlicek, "HyperConformer:
    Multi-head HyperMixer for Efficient Speech Recognition", Interspeech 2023.

    Args:
        model_dim: features D of the input and output.
        num_heads: groups n that the features are cut into.
        hidden_dim: hidden units D' of the MLP over time; None = 4 x ``model_dim``.
        dropout: probability of zeroing a hidden unit for a feature.

    Raises:
        ValueError: ``num_heads`` does not divide both dimensions.
    """

    def __init__(self, model_dim: int, num_heads: int = 8, hidden_dim: Optional[int] = None, dropout: float = 0.1):
        super().__init__()
        hidden_dim = 4 * model_dim if hidden_dim is None else hidden_dim
        self.num_heads = num_heads
        self.hypernetwork_in, self.hypernetwork_out = (
            nn.Sequential(
                BlockDiagonalLinear(model_dim, model_dim, num_heads),
                nn.GELU(),
                BlockDiagonalLinear(model_dim, hidden_dim, num_heads),
            )
            for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = Float32LayerNorm(model_dim)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Mix each utterance's frames. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        if padding_mask is not None:  # so that W1^T x is a sum over real frames
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        parts = (x, self.hypernetwork_in(x), self.hypernetwork_out(x))
        # (B, T, .) -> (B, n, T, ./n), in at least fp32: sums over many frames are too large for fp16
        accumulate = torch.promote_types(x.dtype, torch.float32)
        values, w1, w2 = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2).to(accumulate) for part in parts)
        with torch.autocast(x.device.type, enabled=False):
            mixed = w2 @ self.dropout(F.gelu(w1.transpose(2, 3) @ values))
        # (B, n, T, D/n) -> (B, T, D)
        return self.layer_norm(mixed.transpose(1, 2).flatten(2))
