"""The waveform front end that stores each convolution's output once, and none where no gradient is wanted."""

from typing import Callable, Optional

from torch import Tensor, nn

from ..frontend import ConvFeatureExtractor, TransposeLast
from .convolution import LeanConv1d, convolution
from .recompute import is_without_gradients, recompute
from .stepping_aside import is_plain
from .waveform import convolve, features_of, is_computed_here

# what may be recomputed: it draws no random numbers
PARTS = (nn.Sequential, LeanConv1d, nn.Identity, nn.GroupNorm, nn.LayerNorm, TransposeLast, nn.GELU)


class LeanConvFeatureExtractor(ConvFeatureExtractor):
    """A ``ConvFeatureExtractor`` that recomputes norms and activations in the backward pass."""

    computes_in_chunks = True

    def convolve(self, wave: Tensor) -> Tensor:
        if not self.parts_are_plain():
            return super().convolve(wave)
        if is_without_gradients(wave) and is_computed_here(self):
            return convolve(self, wave)
        x = self.conv_layers[0][0](wave.unsqueeze(1))
        for layer, following in zip(self.conv_layers, self.conv_layers[1:]):
            rest = nn.Sequential(*layer[1:])
            x = recompute(_through(rest), x, parameters=rest.parameters(), then=convolution(following[0]))
        return self.conv_layers[-1][1:](x).transpose(1, 2)

    def parts_are_plain(self) -> bool:
        """Return whether each layer may be cut after its convolution, and the rest recomputed."""
        return all(
            type(layer) is nn.Sequential and all(is_plain(part, *PARTS) for part in layer.modules())
            for layer in self.conv_layers
        )


def quick_features(frontend: ConvFeatureExtractor, wave: Tensor) -> Optional[Callable[[Tensor], Tensor]]:
    """Return what computes the features (n, C) of any piece of a waveform (samples,), normalised over the whole, by
    products; None where the layers are to be called."""
    is_lean = isinstance(frontend, LeanConvFeatureExtractor) and frontend.parts_are_plain()
    if is_lean and is_without_gradients(wave) and is_computed_here(frontend):
        return features_of(frontend, wave)
    return None


def _through(parts: nn.Sequential) -> Callable[[Tensor], Tensor]:
    leaves = [part for part in parts.modules() if not isinstance(part, nn.Sequential)]

    def forward(x: Tensor) -> Tensor:
        for leaf in leaves:
            x = leaf.forward(x)
        return x

    return forward
