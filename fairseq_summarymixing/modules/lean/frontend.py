"""The waveform front end that stores each convolution's output once."""

from torch import Tensor, nn

from ..frontend import ConvFeatureExtractor
from .recompute import recompute
from .stepping_aside import are_plain


class LeanConvFeatureExtractor(ConvFeatureExtractor):
    """A ``ConvFeatureExtractor`` that recomputes norms and activations in the backward pass."""

    computes_in_chunks = True

    def convolve(self, wave: Tensor) -> Tensor:
        if not are_plain(self.conv_layers):
            return super().convolve(wave)
        x = self.conv_layers[0][0](wave.unsqueeze(1))
        for layer, following in zip(self.conv_layers, self.conv_layers[1:]):
            x = recompute(nn.Sequential(*layer[1:], following[0]), x)
        return self.conv_layers[-1][1:](x).transpose(1, 2)
