"""The transformer layer with lean feed-forwards."""

from typing import Optional

from torch import Tensor

from ..transformer import TransformerLayer
from .feed_forward import normalised_feed_forward


class LeanTransformerLayer(TransformerLayer):
    """A ``TransformerLayer`` that does not store the outputs of a LayerNorm that a feed-forward follows."""

    computes_in_chunks = True

    def after_mixer(self, x: Tensor, mixed: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        if not self.layer_norm_first:
            return super().after_mixer(x, mixed, padding_mask)
        x = x + self.dropout(mixed)
        return x + self.dropout(normalised_feed_forward(self.final_layer_norm, self.feed_forward, x))
