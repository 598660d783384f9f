"""Fastformer: additive attention, a mixer of linear cost that SummaryMixing is compared with."""

import math
from typing import Optional

import torch
from torch import Tensor, nn


class Fastformer(nn.Module):
    """A mixer by additive attention. out_t = R(k * v_t) + q_t, where one global query q and one global key k carry what
    all frames have in common:

        q = sum_t alpha_t q_t,           alpha_t = softmax_t(w_q . q_t / sqrt(D/n))
        k = sum_t beta_t (q * k_t),      beta_t = softmax_t(w_k . (q * k_t) / sqrt(D/n))

    Wu, Wu, Qi, Huang, Xie, "Fastformer: Additive Attention Can Be All You Need", arXiv:2108.09084, 2021, in each of n
    heads. Queries and values have separate weights; in the paper they share them.

    Args:
        model_dim: features D of the input and output.
        num_heads: attention heads n.
        dropout: probability of zeroing an attention weight, alpha_t or beta_t.

    Raises:
        ValueError: ``num_heads`` does not divide ``model_dim``.
    """

    def __init__(self, model_dim: int, num_heads: int = 8, dropout: float = 0.1):
        super().__init__()
        if num_heads < 1 or model_dim < 1 or model_dim % num_heads:
            raise ValueError(f"model_dim must be a positive multiple of num_heads; got {model_dim} and {num_heads}")
        self.query, self.key, self.value = (nn.Linear(model_dim, model_dim) for _ in range(3))
        self.query_score, self.key_score = (
            nn.Parameter(0.02 * torch.randn(num_heads, model_dim // num_heads)) for _ in range(2)
        )
        self.transform = nn.Linear(model_dim, model_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Optional[Tensor] = None) -> Tensor:
        """Mix each utterance's frames. x: (B, T, D); padding_mask: (B, T), bool, True = padding. Returns (B, T, D)."""
        queries, keys, values = self.query(x), self.key(x), self.value(x)
        global_query = self._attend(queries, self.query_score, padding_mask)
        global_key = self._attend(global_query * keys, self.key_score, padding_mask)
        return self.transform(global_key * values) + queries

    def _attend(self, x: Tensor, score: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        """Average x (B, T, D) over real frames, weighted by the scores of its heads (n, D/n). Returns (B, 1, D)."""
        heads = x.unflatten(-1, score.shape)  # (B, T, n, D/n)
        # weights and sums in at least fp32: an hour has more frames than half precision can weigh
        accumulate = torch.promote_types(x.dtype, torch.float32)
        scores = (heads * score).sum(dim=-1, dtype=accumulate) / math.sqrt(score.shape[-1])
        if padding_mask is not None:  # the lowest number, not -inf, whose softmax over padding alone would be NaN
            scores = scores.masked_fill(padding_mask.unsqueeze(-1), torch.finfo(accumulate).min)
        weights = self.dropout(scores.softmax(dim=1))
        return (weights.unsqueeze(-1) * heads).sum(dim=1, keepdim=True).flatten(2).to(x.dtype)
