"""The conformer layer and its convolution module, lean."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conformer import ConformerLayer, ConvolutionModule
from .convolution import LeanConv1d, convolution
from .feed_forward import normalised_feed_forward
from .linear import linear, linear_after
from .recompute import recompute
from .stepping_aside import is_known, is_plain


class LeanConvolutionModule(ConvolutionModule):
    """A ``ConvolutionModule`` that stores the outputs of its first product and of the convolution alone."""

    computes_in_chunks = True

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        if not self.parts_are_plain():
            return super().forward(x, padding_mask)
        return convolve_gates(self, linear(x, self.pointwise_in.weight, self.pointwise_in.bias), padding_mask)

    def parts_are_plain(self) -> bool:
        """Return whether :func:`convolve_gates` and the product before it may compute what the parts would."""
        return (
            is_plain(self.pointwise_in, nn.Linear)
            and is_plain(self.depthwise, LeanConv1d)
            and is_plain(self.layer_norm, nn.LayerNorm)
            and is_known(self.activation)
            and is_plain(self.pointwise_out, nn.Linear)
        )


class LeanConformerLayer(ConformerLayer):
    """A ``ConformerLayer`` that does not store the outputs of the LayerNorms before its parts."""

    computes_in_chunks = True

    def before_mixer(self, x: Tensor) -> Tensor:
        forward = normalised_feed_forward(self.first_feed_forward_layer_norm, self.first_feed_forward, x)
        return torch.add(x, self.dropout(forward), alpha=0.5)

    def after_mixer(self, x: Tensor, mixed: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        x = x + self.dropout(mixed)
        x = x + self.dropout(normalised_convolution(self.convolution_layer_norm, self.convolution, x, padding_mask))
        forward = normalised_feed_forward(self.second_feed_forward_layer_norm, self.second_feed_forward, x)
        return self.final_layer_norm(torch.add(x, self.dropout(forward), alpha=0.5))


def normalised_convolution(
    layer_norm: nn.LayerNorm, module: ConvolutionModule, x: Tensor, padding_mask: Optional[Tensor]
) -> Tensor:
    """Compute module(layer_norm(x), padding_mask) without storing what the norm gives. x: (B, T, D)."""
    modules_are_plain = is_plain(layer_norm, nn.LayerNorm) and is_plain(module, LeanConvolutionModule)
    if not (modules_are_plain and module.parts_are_plain()):
        return module(layer_norm(x), padding_mask)
    first = module.pointwise_in
    gates = linear_after(layer_norm.forward, first.weight, first.bias, x, parameters=layer_norm.parameters())
    return convolve_gates(module, gates, padding_mask)


def convolve_gates(module: ConvolutionModule, gates: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
    """Compute all of the module after its first product. gates: (B, T, 2D). Returns (B, T, D)."""
    norm, last = module.layer_norm, module.pointwise_out

    def gate(gates: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        x = F.glu(gates, dim=-1)
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        return x.transpose(1, 2)

    def activate(x: Tensor) -> Tensor:
        return module.activation(norm.forward(x))

    x = recompute(gate, gates, padding_mask, then=convolution(module.depthwise)).transpose(1, 2)
    return linear_after(activate, last.weight, last.bias, x, parameters=norm.parameters())
