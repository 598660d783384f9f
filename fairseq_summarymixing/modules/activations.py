"""Look up activation functions by fairseq's names."""

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu, "tanh": torch.tanh}


def get_activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the element-wise function called ``name``; raises ValueError for an unknown name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation_fn must be one of {', '.join(ACTIVATIONS)}; got {name!r}")
    return ACTIVATIONS[name]
