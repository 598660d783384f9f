"""Multi-head self-attention, called as a mixer: what the twin has in place of SummaryMixing."""

from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Self-attention of n heads, softmax(Q K^T / sqrt(D/n)) V over the real frames, on PyTorch's fused kernel.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, Section 3.2. Parameters are named as in
    fairseq's ``MultiheadAttention``.

    Args:
        model_dim: features D of the input and output.
        num_heads: attention heads n.
        dropout: probability of zeroing an attention weight.

    Raises:
        ValueError: ``num_heads`` does not divide ``model_dim``.
    """

    def __init__(self, model_dim: int, num_heads: int = 8, dropout: float = 0.1):
        super().__init__()
        if num_heads < 1 or model_dim < 1 or model_dim % num_heads:
            raise ValueError(f"model_dim must be a positive multiple of num_heads; got {model_dim} and {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.q_proj = nn.Linear(model_dim, model_dim)
        self.k_proj = nn.Linear(model_dim, model_dim)
        self.v_proj = nn.Linear(model_dim, model_dim)
        self.out_proj = nn.Linear(model_dim, model_dim)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Attend over real frames. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        queries, keys, values = (self._split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        # (B, T) -> (B, 1, 1, T); the kernel's mask is True where a key may be seen
        visible = None if padding_mask is None else ~padding_mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        # (B, n, T, D/n) -> (B, T, D)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        # (B, T, D) -> (B, n, T, D/n)
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
