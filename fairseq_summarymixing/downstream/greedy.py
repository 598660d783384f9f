"""Decode CTC emissions greedily."""

from __future__ import annotations

import torch
from torch import Tensor

from .hypothesis import Hypothesis


def ctc_greedy(emissions: Tensor, blank: int = 0) -> Hypothesis:
    """Return the best token of every frame, repeats merged, blanks dropped (Graves et al. 2006, best path decoding).

    Args:
        emissions: (T, V), scores of any scale: logits or log-probabilities; no frames give no tokens.
        blank: index of the blank token.
    """
    best = emissions.argmax(dim=-1).cpu()  # (T,)
    kept = best != blank
    kept[1:] &= best[1:] != best[:-1]
    return Hypothesis(best[kept].tolist(), torch.nonzero(kept).flatten().tolist())
