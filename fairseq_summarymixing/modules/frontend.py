"""Front ends from (waveform, lengths in samples) to (features, lengths in frames)."""

import math
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .log_mel import HOP, WINDOW, LogMel, padding_beyond


class TransposeLast(nn.Module):
    """A module that swaps the last two axes."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(-2, -1)


class ConvFeatureExtractor(nn.Module):
    """The waveform convolutions of wav2vec 2.0 (Section 2, "Feature encoder"): 16 kHz to 50 frames a second.

    Each layer is a strided convolution without padding, a normalisation and GELU. Parameters are named
    as in fairseq's ``ConvFeatureExtractionModel``.

    Args:
        conv_layers: (channels, kernel size, stride) of each layer.
        mode: ``default``, a group norm over time in the first layer alone (wav2vec 2.0 base), or
            ``layer_norm``, a LayerNorm over channels in each layer (large). The group norm's statistics
            include padding, so with ``default`` an utterance's features depend on what shares its batch.
        conv_bias: whether the convolutions have a bias.

    Raises:
        ValueError: unknown mode, or a layer that is not three positive integers.
    """

    computes_in_chunks = True

    def __init__(self, conv_layers: Sequence[Tuple[int, int, int]], mode: str = "default", conv_bias: bool = False):
        super().__init__()
        if mode not in ("default", "layer_norm"):
            raise ValueError(f"extractor_mode must be default or layer_norm; got {mode!r}")
        for layer in conv_layers:
            if len(layer) != 3 or min(layer) < 1:
                raise ValueError(f"each conv layer must be (channels, kernel size, stride); got {layer}")
        self.kernels_and_strides = [(kernel, stride) for _, kernel, stride in conv_layers]
        self.output_dim = conv_layers[-1][0]
        self.conv_layers = nn.ModuleList()
        in_dim = 1
        for index, (dim, kernel, stride) in enumerate(conv_layers):
            convolution = nn.Conv1d(in_dim, dim, kernel, stride=stride, bias=conv_bias)
            nn.init.kaiming_normal_(convolution.weight)
            if mode == "layer_norm":
                norm = [nn.Sequential(TransposeLast(), nn.LayerNorm(dim), TransposeLast())]
            else:
                norm = [nn.GroupNorm(dim, dim)] if index == 0 else []
            # fairseq has a dropout of 0 at index 1: the place is kept for the names that follow
            self.conv_layers.append(nn.Sequential(convolution, nn.Identity(), *norm, nn.GELU()))
            in_dim = dim

    @property
    def receptive_field(self) -> int:
        """The number of samples that one frame depends on."""
        size, hop = 1, 1
        for kernel, stride in self.kernels_and_strides:
            size += (kernel - 1) * hop
            hop *= stride
        return size

    @property
    def first_centre(self) -> float:
        """The number of samples from the beginning to the middle of what the first frame sees."""
        return self.receptive_field / 2

    @property
    def hop(self) -> int:
        """The number of samples from one frame to the next."""
        return math.prod(stride for _, stride in self.kernels_and_strides)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the frames for each number of samples; (B,) to (B,).

        At least 1: in a padded batch an utterance shorter than the receptive field has one frame, which sees
        padding. Alone it is refused.
        """
        for kernel, stride in self.kernels_and_strides:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths.clamp(min=1)

    def forward(self, wave: Tensor, lengths: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        """Compute features. wave: (B, samples); lengths: (B,), real samples, None = all.

        Returns:
            features (B, T, C), lengths (B,) in frames or None.

        Raises:
            ValueError: the waveform is shorter than one frame's receptive field.
        """
        if wave.shape[-1] < self.receptive_field:
            raise ValueError(
                f"audio must have at least {self.receptive_field} samples; got {wave.shape[-1]}: "
                "leave such clips out, or pad them"
            )
        return self.convolve(wave), None if lengths is None else self.output_lengths(lengths)

    def convolve(self, wave: Tensor) -> Tensor:
        """Apply the convolutions. wave: (B, samples). Returns (B, T, C)."""
        x = wave.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x.transpose(1, 2)


class CastingConv1d(nn.Conv1d):
    """A convolution that casts its input to the precision of its weight."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype))


class LogMelExtractor(nn.Module):
    """A front end of log-mel features and convolutions over time: 16 kHz to 50 frames a second (Zhang et al. 2024,
    Section 3).

    Each layer is a convolution with as much padding as keeps a frame's place, a LayerNorm over channels and GELU.
    Padding frames are zeroed before each: an utterance's features are the same alone and padded.

    Args:
        num_bins: mel filters.
        conv_layers: (channels, kernel size, stride) of each layer; kernel sizes are odd.
        conv_bias: whether the convolutions have a bias.

    Raises:
        ValueError: a layer is not three positive integers, or its kernel size is even.
    """

    computes_in_chunks = True

    def __init__(self, num_bins: int, conv_layers: Sequence[Tuple[int, int, int]], conv_bias: bool = False):
        super().__init__()
        for layer in conv_layers:
            if len(layer) != 3 or min(layer) < 1 or layer[1] % 2 == 0:
                raise ValueError(f"each mel conv layer must be (channels, odd kernel size, stride); got {layer}")
        self.kernels_and_strides = [(kernel, stride) for _, kernel, stride in conv_layers]
        self.output_dim = conv_layers[-1][0]
        self.log_mel = LogMel(num_bins)
        self.convolutions = nn.ModuleList()
        self.layer_norms = nn.ModuleList()
        in_dim = num_bins
        for dim, kernel, stride in conv_layers:
            convolution = CastingConv1d(in_dim, dim, kernel, stride=stride, padding=kernel // 2, bias=conv_bias)
            nn.init.kaiming_normal_(convolution.weight)
            self.convolutions.append(convolution)
            self.layer_norms.append(nn.LayerNorm(dim))
            in_dim = dim

    receptive_field = WINDOW
    """Samples that one frame of log-mel energies depends on, half of them before its place."""
    first_centre = 0.0
    """Samples from the beginning to the middle of what the first frame sees."""

    @property
    def hop(self) -> int:
        """The number of samples from one frame to the next."""
        return HOP * math.prod(stride for _, stride in self.kernels_and_strides)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the frames for each number of samples; (B,) to (B,).

        Alone, an utterance of less than a window is refused; in a padded batch it is not.
        """
        lengths = self.log_mel.output_lengths(lengths)
        for _, stride in self.kernels_and_strides:
            lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
        return lengths

    def forward(self, wave: Tensor, lengths: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        """Compute features. wave: (B, samples); lengths: (B,), real samples, None = all.

        Returns:
            features (B, T, C), lengths (B,) in frames or None.

        Raises:
            ValueError: the waveform is shorter than one window.
        """
        if wave.shape[-1] < WINDOW:
            raise ValueError(
                f"audio must have at least {WINDOW} samples; got {wave.shape[-1]}: leave such clips out, or pad them"
            )
        return self.convolve(*self.log_mel(wave, lengths))

    def convolve(self, x: Tensor, lengths: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        """Apply the convolutions. x: (B, T, num_bins), 100 frames a second; lengths: (B,), real ones. Returns as
        :meth:`forward`."""
        for convolution, layer_norm, (_, stride) in zip(self.convolutions, self.layer_norms, self.kernels_and_strides):
            # (B, T, C) -> (B, C, T) and back
            x = F.gelu(layer_norm(convolution(x.transpose(1, 2)).transpose(1, 2)))
            if lengths is not None:
                lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
                x = x.masked_fill(padding_beyond(lengths, x.shape[1]).unsqueeze(-1), 0)
        return x, lengths
