"""The waveform front end without gradients on a CPU: matrix products of frames (T, C), a few seconds at a time.

A strided convolution reads rows of ``stride`` frames as they lie in memory: with kernel 3 and stride 2 it is a product
of rows of two frames, and one of the first halves of the rows after them. Nothing is gathered.
"""

from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..chunks import chunk_bounds
from ..frontend import ConvFeatureExtractor
from .derived import derived, weights_unchanged

FRAMES = 200  # of a block, 4 s: the largest tensor has 26 MB, and only below 32 MB the C library uses memory again
STEPS = 2**16  # of the first layer's frames that are taken to fp64 at once


class Layer(NamedTuple):
    """A layer of the front end as products of frames."""

    weights: List[Tensor]
    """Each (C', taps x C), of as many taps as the stride; of a waveform one, of all taps."""
    bias: Optional[Tensor]
    norm: Optional[nn.LayerNorm]
    kernel: int
    stride: int

    def __call__(self, x: Tensor) -> Tensor:
        """Map (T, C), contiguous, to (T', C')."""
        frames = (len(x) - self.kernel) // self.stride + 1
        first, *others = self.weights
        out = F.linear(self._rows(x, frames, first), first, self.bias)
        for number, weight in enumerate(others, start=1):
            out.addmm_(self._rows(x[number * self.stride :], frames, weight), weight.t())
        return torch.ops.aten.gelu_(out if self.norm is None else self.norm.forward(out))

    def _rows(self, x: Tensor, frames: int, weight: Tensor) -> Tensor:
        return x.as_strided((frames, weight.shape[1]), (self.stride * x.shape[1], 1), x.storage_offset())


def is_computed_here(frontend: ConvFeatureExtractor) -> bool:
    """Return whether a front end still has the parts that its class builds, which a user may have replaced."""
    channels = 1
    for index, (parts, sizes) in enumerate(zip(frontend.conv_layers, frontend.kernels_and_strides)):
        convolution, norm, gelu = parts[0], _norm_of(parts), parts[-1]
        settings = (convolution.in_channels, convolution.kernel_size[0], convolution.stride[0], convolution.groups)
        is_plain = settings == (channels, *sizes, 1) and (convolution.padding, convolution.dilation) == ((0,), (1,))
        channels = convolution.out_channels
        is_per_channel = isinstance(norm, nn.GroupNorm) and index == 0 and norm.num_groups == channels and norm.affine
        is_norm = is_per_channel or (norm is None or isinstance(norm, nn.LayerNorm))
        if not (is_plain and is_norm and isinstance(gelu, nn.GELU) and gelu.approximate == "none"):
            return False
    return True


def convolve(frontend: ConvFeatureExtractor, wave: Tensor) -> Tensor:
    """Compute ``frontend.convolve`` of (B, samples): (B, T, C)."""
    with weights_unchanged():
        return torch.stack([features_of(frontend, utterance)(utterance) for utterance in wave])


def features_of(frontend: ConvFeatureExtractor, wave: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what computes the features (n, C) of any piece of a waveform (samples,), normalised over the whole.

    Args:
        frontend: with convolutions, norms and GELUs of PyTorch's classes or ours, without hooks.
    """
    first, *others = derived(frontend, lambda: list(_layers(frontend)))
    norm = _norm_of(frontend.conv_layers[0])
    if isinstance(norm, nn.GroupNorm):
        weight, bias = normalised_weight(first, norm, wave)
        first = first._replace(weights=[weight], bias=bias)
    hop, field = frontend.hop, frontend.receptive_field

    def compute(piece: Tensor) -> Tensor:
        blocks = []
        for start, end in chunk_bounds((len(piece) - field) // hop + 1, FRAMES):
            x = piece[start * hop : (end - 1) * hop + field].contiguous().unsqueeze(1)
            for layer in (first, *others):
                x = layer(x)
            blocks.append(x)
        return torch.cat(blocks)

    return compute


def normalised_weight(layer: Layer, norm: nn.GroupNorm, wave: Tensor) -> Tuple[Tensor, Tensor]:
    """Return weight (C', K) and bias (C',) of a layer of the waveform with its group norm, of a group per channel.

    A channel is a product w.x with the K samples x of a frame: its mean over time is w.mean(x), its variance
    w.covariance(x).w, K numbers and K x K for all channels together.
    """
    weight = layer.weights[0].double()
    frames = wave.contiguous().unfold(0, layer.kernel, layer.stride)
    total, products = weight.new_zeros(layer.kernel), weight.new_zeros(layer.kernel, layer.kernel)
    for part in frames.split(STEPS):
        part = part.double()
        total += part.sum(dim=0)
        products += part.t() @ part
    mean = total / len(frames)
    covariance = products / len(frames) - torch.outer(mean, mean)
    variance = ((weight @ covariance) * weight).sum(dim=1).clamp(min=0)
    scale = norm.weight.double() * (variance + norm.eps).rsqrt()
    bias = norm.bias.double() - (weight @ mean) * scale  # a bias of the convolution's is part of the mean
    dtype = layer.weights[0].dtype
    return (weight * scale.unsqueeze(1)).to(dtype), bias.to(dtype)


def _layers(frontend: ConvFeatureExtractor) -> Iterator[Layer]:
    for parts, (kernel, stride) in zip(frontend.conv_layers, frontend.kernels_and_strides):
        convolution, norm = parts[0], _norm_of(parts)
        weight = convolution.weight.transpose(1, 2)  # (C', C, K) -> (C', K, C)
        taps = kernel if convolution.in_channels == 1 else stride
        weights = [piece.flatten(1).contiguous() for piece in weight.split(taps, dim=1)]
        yield Layer(weights, convolution.bias, norm if isinstance(norm, nn.LayerNorm) else None, kernel, stride)


def _norm_of(layer: nn.Sequential) -> Optional[nn.Module]:
    return next((part for part in layer.modules() if isinstance(part, (nn.GroupNorm, nn.LayerNorm))), None)
