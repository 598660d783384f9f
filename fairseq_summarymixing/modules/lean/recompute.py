"""Memory for a little time: what is cheap is computed again in backward instead of kept."""

import contextlib
from typing import Any, Callable, Iterator

import torch.utils.checkpoint
from torch import Tensor

# Before torch 2.1 all of a function would be computed again, also the product at its end
STOPS_EARLY = hasattr(torch.utils.checkpoint, "set_checkpoint_early_stop")

_enabled = True


@contextlib.contextmanager
def keep_everything() -> Iterator[None]:
    """Inside, nothing is computed again: for tools whose hooks do not do the same twice."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def is_compiling() -> bool:
    """Whether torch.compile or torch.export reads the code. What to compute again is then for the compiler to say."""
    return hasattr(torch, "compiler") and torch.compiler.is_compiling()


def recomputes() -> bool:
    """Whether anything is computed again: in training, outside :func:`keep_everything`."""
    return _enabled and STOPS_EARLY and torch.is_grad_enabled() and not is_compiling()


def recompute(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """function(*inputs), of which only the inputs are kept for backward.

    Backward computes again what it needs of the inside and stops there: of ``linear(gelu(x))`` that is
    ``gelu(x)``, for the weight's gradient, and not the product. For functions that draw no random numbers.
    """
    if not recomputes():
        return function(*inputs)
    return torch.utils.checkpoint.checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
