"""Convolutions over time that a GPU computes faster in other ways than in PyTorch's own for (B, C, T)."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..positional import ConvPositions, WeightNormConv1d
from .derived import derived
from .recompute import Gradients, Product, is_without_gradients, recompute
from .stepping_aside import is_plain

BLOCK = 512  # frames of one Fourier transform


class LeanConv1d(nn.Conv1d):
    """An ``nn.Conv1d`` that on a GPU in half precision has channels as neighbours in memory: of the front end's second
    convolution, forward and backward then take 0.24 of the time (H100, bf16).

    Not a depthwise one: its kernels for that are built anew for each length, which takes up to seconds.
    """

    computes_in_chunks = True

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        if not _has_channels_last(self, x):
            return super()._conv_forward(x, weight, bias)
        x, weight = _channels_last(x), _channels_last(weight)
        return F.conv2d(x, weight, bias, *_two_dimensional(self), self.groups).squeeze(2)


def convolution(conv: LeanConv1d) -> Product:
    """Return the product that a convolution computes of (B, C, T)."""

    def backward(gradient: Tensor, x: Tensor, weight: Tensor, needed: Tuple[bool, bool, bool]) -> Gradients:
        bias_sizes = None if conv.bias is None else list(conv.bias.shape)
        if _has_channels_last(conv, x):
            tensors, sizes, shift = map(_channels_last, (gradient, x, weight)), _two_dimensional(conv), [0, 0]
        else:
            tensors, sizes, shift = (gradient, x, weight), (conv.stride, conv.padding, conv.dilation), [0]
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            *tensors, bias_sizes, *map(list, sizes), False, shift, conv.groups, list(needed)
        )
        return (
            of_x.view_as(x) if needed[0] else None,
            of_weight.view_as(weight) if needed[1] else None,
            of_bias if needed[2] else None,
        )

    return Product(conv.weight, conv.bias, conv._conv_forward, backward)


def _has_channels_last(conv: nn.Conv1d, x: Tensor) -> bool:
    return _is_half_on_gpu(x) and x.dim() == 3 and conv.groups == 1 and conv.in_channels > 1


def _is_half_on_gpu(x: Tensor) -> bool:
    return x.is_cuda and x.dtype in (torch.float16, torch.bfloat16)


def _channels_last(x: Tensor) -> Tensor:
    """Return (N, C, T) as (N, C, 1, T)."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _two_dimensional(conv: nn.Conv1d) -> Tuple[Tuple[int, int], ...]:
    return (1, conv.stride[0]), (0, conv.padding[0]), (1, conv.dilation[0])


class LeanConvPositions(ConvPositions):
    """A ``ConvPositions`` by Fourier transforms on a GPU in half precision: a fifth of the time, in fp32 inside.

    Without gradients on a CPU, the weight's norm takes a tenth of the time, and channels are neighbours.
    """

    computes_in_chunks = True

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        conv = self[0]
        if is_without_gradients(x) and is_plain(conv, WeightNormConv1d):
            weight = derived(conv, lambda: _channels_last(_normalised(conv)))
            rows = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, T): channels are neighbours already
            out = F.conv2d(rows, weight, conv.bias, padding=(0, conv.padding), groups=conv.groups)
            return F.gelu(out[:, :, 0, : x.shape[1]].transpose(1, 2))
        if not (_is_half_on_gpu(x) and is_plain(conv, WeightNormConv1d) and conv.padding < BLOCK // 4):
            return super().forward(x, first)
        weight, bias = conv.weight(), conv.bias
        return recompute(
            lambda x, weight, bias: F.gelu(fourier_convolution(x, weight, bias, conv.groups)), x, weight, bias
        )


def _normalised(conv: WeightNormConv1d) -> Tensor:
    """Return ``conv.weight()``; PyTorch's norm over the first two of three dimensions is slow."""
    direction = conv.weight_v.to(torch.promote_types(conv.weight_v.dtype, torch.float32))
    norm = direction.flatten(0, 1).square().sum(dim=0).sqrt()
    return (direction * (conv.weight_g / norm)).to(conv.weight_v.dtype)


def fourier_convolution(x: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Convolve over time, with zeros around, by overlap-save: blocks of :data:`BLOCK` frames, transformed, multiplied.

    x: (B, T, D); weight: (D, D / groups, K) with K below BLOCK; bias: (D,). Returns (B, T, D): frame t is the sum of
    weight[..., k] x[t + k - K // 2].
    """
    frames, size = x.shape[1], weight.shape[-1]
    hop = BLOCK - size + 1
    count = -(-frames // hop)
    padded = F.pad(x.float(), (0, 0, size // 2, count * hop + size - 1 - size // 2 - frames))
    # (B, count, D, BLOCK) -> (BLOCK / 2 + 1, groups, B x count, D / groups)
    spectra = (
        torch.fft.rfft(padded.unfold(1, BLOCK, hop)).unflatten(2, (groups, -1)).permute(4, 2, 0, 1, 3).flatten(2, 3)
    )
    kernels = torch.fft.rfft(weight.float().flip(-1), BLOCK).unflatten(0, (groups, -1)).permute(3, 0, 2, 1)
    products = (spectra @ kernels).unflatten(2, (-1, count)).permute(2, 3, 1, 4, 0).flatten(2, 3)
    valid = torch.fft.irfft(products, BLOCK)[..., size - 1 :].transpose(2, 3).flatten(1, 2)
    return (valid[:, :frames] + bias.float()).to(x.dtype)
