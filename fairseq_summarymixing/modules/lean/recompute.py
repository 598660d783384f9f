"""Recompute cheap operations in the backward pass instead of storing their results."""

import contextlib
from typing import Any, Callable, Iterator

import torch.utils.checkpoint
from torch import Tensor

# Before torch 2.1 all of a function would be recomputed, also the product at its end
STOPS_EARLY = hasattr(torch.utils.checkpoint, "set_checkpoint_early_stop")

_enabled = True


@contextlib.contextmanager
def store_everything() -> Iterator[None]:
    """Store everything and recompute nothing inside: for tools whose hooks do not do the same twice."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def is_compiling() -> bool:
    """Return whether torch.compile or torch.export reads the code; the compiler then chooses what to recompute."""
    return hasattr(torch, "compiler") and torch.compiler.is_compiling()


def recomputes() -> bool:
    """Return whether anything is recomputed: in training, outside :func:`store_everything`."""
    return _enabled and STOPS_EARLY and torch.is_grad_enabled() and not is_compiling()


def recompute(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """Compute function(*inputs) and store only the inputs for the backward pass.

    The backward pass recomputes what it needs of the inside and stops there: of ``linear(gelu(x))`` that is
    ``gelu(x)``, for the weight's gradient, and not the product. For functions that draw no random numbers.
    """
    if not recomputes():
        return function(*inputs)
    return torch.utils.checkpoint.checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
