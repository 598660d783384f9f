"""Greedy CTC decoding."""

from __future__ import annotations

import torch
from torch import Tensor


def ctc_greedy(emissions: Tensor, lengths: Tensor, blank: int = 0) -> list[list[int]]:
    """The best token of every frame, repeats merged, blanks dropped (Graves et al. 2006, best path decoding).

    Args:
        emissions: (B, T, V), scores of any scale: logits or log-probabilities.
        lengths: (B,), real frames of each utterance; 0 gives an empty list.
        blank: index of the blank token.

    Returns:
        B lists of token indices.
    """
    best = emissions.argmax(dim=-1)  # (B, T)
    frames = torch.arange(best.size(1), device=best.device)
    changed = torch.ones_like(best, dtype=torch.bool)
    changed[:, 1:] = best[:, 1:] != best[:, :-1]
    kept = changed & (best != blank) & (frames < lengths.to(best.device)[:, None])
    return [tokens[mask].tolist() for tokens, mask in zip(best.cpu(), kept.cpu())]
