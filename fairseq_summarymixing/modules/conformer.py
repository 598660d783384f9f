"""The conformer encoder layer, around any mixer."""

from typing import Callable, Optional

import torch.nn.functional as F
from torch import Tensor, nn

from .feed_forward import FeedForward


class ConvolutionModule(nn.Module):
    """The conformer's convolution module, (B, T, D) to (B, T, D): pointwise, GLU, depthwise over time, LayerNorm,
    activation, pointwise.

    Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition", Interspeech 2020,
    Section 2.2, with a LayerNorm where the original has a BatchNorm, whose statistics would mix utterances.
    Padding frames are zeroed before the depthwise convolution: an utterance sees zeros after its end, alone
    and padded.

    Args:
        model_dim: features D.
        kernel_size: frames that one output frame sees; odd.
        activation: after the LayerNorm.

    Raises:
        ValueError: ``kernel_size`` is even, which has no middle frame.
    """

    computes_in_chunks = True

    def __init__(self, model_dim: int, kernel_size: int = 31, activation: Callable[[Tensor], Tensor] = F.silu):
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"depthwise_conv_kernel_size must be odd and positive; got {kernel_size}")
        self.context = kernel_size // 2  # frames on either side that a frame sees
        self.pointwise_in = nn.Linear(model_dim, 2 * model_dim)
        self.depthwise = nn.Conv1d(model_dim, model_dim, kernel_size, padding=kernel_size // 2, groups=model_dim)
        self.layer_norm = nn.LayerNorm(model_dim)
        self.activation = activation
        self.pointwise_out = nn.Linear(model_dim, model_dim)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Convolve over time. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        x = F.glu(self.pointwise_in(x), dim=-1)
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        # (B, T, D) -> (B, D, T) and back
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.pointwise_out(self.activation(self.layer_norm(x)))


class ConformerLayer(nn.Module):
    """A conformer layer: half feed-forward, mixer, convolution and half feed-forward, each a residual branch on
    normalised input; then a LayerNorm.

    Gulati et al. 2020, Section 2.4, Eq. 1, with any mixer in place of self-attention.

    Args:
        first_feed_forward, mixer, convolution, second_feed_forward: the parts, (B, T, D) to (B, T, D).
        model_dim: features D.
        dropout: on the output of each part.
    """

    computes_in_chunks = True

    def __init__(
        self,
        first_feed_forward: FeedForward,
        mixer: nn.Module,
        convolution: ConvolutionModule,
        second_feed_forward: FeedForward,
        model_dim: int,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.first_feed_forward_layer_norm = nn.LayerNorm(model_dim)
        self.first_feed_forward = first_feed_forward
        self.mixer_layer_norm = nn.LayerNorm(model_dim)
        self.mixer = mixer
        self.convolution_layer_norm = nn.LayerNorm(model_dim)
        self.convolution = convolution
        self.second_feed_forward_layer_norm = nn.LayerNorm(model_dim)
        self.second_feed_forward = second_feed_forward
        self.final_layer_norm = nn.LayerNorm(model_dim)
        self.dropout = nn.Dropout(dropout)
        self.embedding_dim = model_dim  # fairseq's classification head reads it off the last layer
        self.context = convolution.context  # frames on either side that a frame sees by other ways than the mixer

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Apply the layer. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        x = self.before_mixer(x)
        return self.after_mixer(x, self.mixer(self.mixer_input(x), padding_mask), padding_mask)

    def before_mixer(self, x: Tensor) -> Tensor:
        """Apply the first half feed-forward: (B, T, D) to (B, T, D)."""
        return x + 0.5 * self.dropout(self.first_feed_forward(self.first_feed_forward_layer_norm(x)))

    def mixer_input(self, x: Tensor) -> Tensor:
        """Return the mixer's input for x, (B, T, D) each."""
        return self.mixer_layer_norm(x)

    def after_mixer(self, x: Tensor, mixed: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Return the layer's output, given x and the mixer's output ``mixed``, (B, T, D) each."""
        x = x + self.dropout(mixed)
        x = x + self.dropout(self.convolution(self.convolution_layer_norm(x), padding_mask))
        x = x + 0.5 * self.dropout(self.second_feed_forward(self.second_feed_forward_layer_norm(x)))
        return self.final_layer_norm(x)
