"""Positions, which are added to the encoder's input: mixers do not depend on the order of frames."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormConv1d(nn.Module):
    """A grouped convolution whose weight is g * v / ||v||, one norm per kernel position.

    Salimans and Kingma, "Weight Normalization", NeurIPS 2016. The parameters are ``weight_g``,
    ``weight_v`` and ``bias``, the names that published wav2vec 2.0 checkpoints use. The norm is taken
    in at least fp32: a half-precision sum of squares over a kernel can overflow.
    """

    def __init__(self, dim: int, kernel_size: int, groups: int):
        super().__init__()
        self.groups = groups
        self.padding = kernel_size // 2
        std = math.sqrt(4 / (kernel_size * dim))
        self.weight_v = nn.Parameter(torch.randn(dim, dim // groups, kernel_size) * std)
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(0, 1), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve. x: (B, D, T). Returns (B, D, T + 2 * (kernel_size // 2) - kernel_size + 1)."""
        return F.conv1d(x, self.weight(), self.bias, padding=self.padding, groups=self.groups)

    def weight(self) -> Tensor:
        """Return g * v / ||v||: (D, D / groups, kernel_size)."""
        direction = self.weight_v.to(torch.promote_types(self.weight_v.dtype, torch.float32))
        direction = direction / direction.norm(dim=(0, 1), keepdim=True)
        return (self.weight_g * direction).to(self.weight_v.dtype)


class ConvPositions(nn.Sequential):
    """A module of relative positions by a wide grouped convolution and GELU (wav2vec 2.0, Section 2).

    Padding frames must be zero on input: then an utterance gets the same positions alone and padded.
    ``forward`` maps (B, T, D) to (B, T, D); ``first``, the frame at which x begins in the utterance, changes nothing.

    Raises:
        ValueError: ``groups`` does not divide ``model_dim``.
    """

    computes_in_chunks = True

    def __init__(self, model_dim: int, kernel_size: int = 128, groups: int = 16):
        if groups < 1 or model_dim % groups:
            raise ValueError(f"conv_pos_groups must divide encoder_embed_dim; got {groups} and {model_dim}")
        super().__init__(WeightNormConv1d(model_dim, kernel_size, groups))
        self.context = kernel_size // 2  # frames on either side that a position depends on

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        # an even kernel yields one frame more than it was given
        return F.gelu(super().forward(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)


class SinusoidalPositions(nn.Module):
    """A module of absolute positions: sines and cosines of frequencies from 1 down to 1/10000 (Vaswani et al. 2017,
    Section 3.5).

    They are computed for each input, so that there is no maximal length. ``forward`` takes the frames of an utterance
    from ``first`` on, (B, T, D), and returns (1, T, D).

    Raises:
        ValueError: ``model_dim`` is odd.
    """

    computes_in_chunks = True
    context = 0

    def __init__(self, model_dim: int):
        super().__init__()
        if model_dim % 2:
            raise ValueError(f"encoder_embed_dim must be even for sinusoidal positions; got {model_dim}")

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        _, frames, dim = x.shape
        # positions in half precision would be equal from 2048 on
        exponents = torch.arange(0, dim, 2, device=x.device, dtype=torch.float32) / dim
        positions = torch.arange(first, first + frames, device=x.device, dtype=torch.float32)
        angles = torch.outer(positions, 10000.0**-exponents)
        # sine and cosine of a frequency are neighbours
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(x.dtype).unsqueeze(0)
