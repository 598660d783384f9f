"""Self-attention with oneDNN's products on the CPU: the twin gains what SummaryMixing gains."""

from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import SelfAttention
from .linear import linear
from .stepping_aside import is_plain


class LeanSelfAttention(SelfAttention):
    """A ``SelfAttention`` through :func:`.linear.linear`."""

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        projections = (self.q_proj, self.k_proj, self.v_proj)
        if not all(is_plain(projection, nn.Linear) for projection in (*projections, self.out_proj)):
            return super().forward(x, padding_mask)
        queries, keys, values = (
            self._split(linear(x, projection.weight, projection.bias)) for projection in projections
        )
        visible = None if padding_mask is None else ~padding_mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        return linear(mixed.transpose(1, 2).flatten(2), self.out_proj.weight, self.out_proj.bias)
