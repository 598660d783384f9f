"""The position-wise feed-forward network of an encoder layer."""

from typing import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Module):
    """The position-wise network fc2(dropout(activation(fc1(x)))), the same for each frame. Maps (B, T, D) to (B, T, D).

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, Section 3.3.
    """

    computes_in_chunks = True

    def __init__(
        self, model_dim: int, ffn_dim: int, activation: Callable[[Tensor], Tensor] = F.gelu, dropout: float = 0.0
    ):
        super().__init__()
        self.fc1 = nn.Linear(model_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, model_dim)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout(self.activation(self.fc1(x))))
