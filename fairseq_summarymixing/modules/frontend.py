"""Front ends: (waveform, lengths in samples) to (features, lengths in frames)."""

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn


class TransposeLast(nn.Module):
    """Swap the last two axes."""

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
        """Samples that one frame depends on."""
        size, hop = 1, 1
        for kernel, stride in self.kernels_and_strides:
            size += (kernel - 1) * hop
            hop *= stride
        return size

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames for each number of samples; (B,) to (B,).

        At least 1: in a padded batch an utterance shorter than the receptive field has one frame, which sees
        padding. Alone it is refused.
        """
        for kernel, stride in self.kernels_and_strides:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths.clamp(min=1)

    def forward(self, wave: Tensor, lengths: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        """wave: (B, samples); lengths: (B,), real samples, None = all.

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
        x = wave.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x.transpose(1, 2), None if lengths is None else self.output_lengths(lengths)
