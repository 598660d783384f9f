"""Recompute cheap operations in the backward pass instead of storing their results."""

import contextlib
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional, Tuple

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

# Before torch 2.1 all of a checkpointed function would be recomputed, also the product at its end
STOPS_EARLY = hasattr(torch.utils.checkpoint, "set_checkpoint_early_stop")

Gradients = Tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor]]
"""The gradients of x, weight and bias; None for each that is not needed."""

_enabled = True


@contextlib.contextmanager
def store_everything() -> Iterator[None]:
    """Inside this context, store everything and recompute nothing: for tools whose hooks do not do the same twice."""
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


def is_without_gradients(x: Tensor) -> bool:
    """Return whether x is used for inference on a CPU, which has faster code than training."""
    is_known = type(x) is Tensor and x.device.type == "cpu" and not is_compiling()
    return is_known and not torch.is_grad_enabled() and not autocasts("cpu")


class Product(NamedTuple):
    """An operation whose result the backward pass does not need, so that it is not recomputed."""

    weight: Optional[Tensor]
    bias: Optional[Tensor]
    forward: Callable[[Tensor, Optional[Tensor], Optional[Tensor]], Tensor]
    """(x, weight, bias) to the result."""
    backward: Callable[[Tensor, Tensor, Optional[Tensor], Tuple[bool, bool, bool]], Gradients]
    """(gradient, x, weight, which are needed) to the gradients of x, weight and bias."""


IDENTITY = Product(None, None, lambda x, *_: x, lambda gradient, *_: (gradient, None, None))


def recompute(
    function: Callable[..., Tensor],
    *inputs: Optional[Tensor],
    parameters: Iterable[nn.Parameter] = (),
    then: Product = IDENTITY,
) -> Tensor:
    """Compute function(*inputs), and the product ``then`` of it, and store the inputs alone for the backward pass.

    Args:
        function: cheap. It draws no random numbers, holds no activations, and calls the ``forward`` of modules, not
            the modules: what tools hook into them must not run again in backward.
        parameters: those that the function uses.
    """

    def both(*inputs: Optional[Tensor]) -> Tensor:
        return then.forward(function(*inputs), then.weight, then.bias)

    if not recomputes():
        return both(*inputs)
    if autocasts(inputs[0].device.type) or type(inputs[0]) is not Tensor:
        return torch.utils.checkpoint.checkpoint(both, *inputs, use_reentrant=False, preserve_rng_state=False)
    tensors = (then.weight, then.bias, *inputs, *parameters)
    return _Recomputed.apply(function, then, len(inputs), *tensors)


def autocasts(device: str) -> bool:
    """Return whether ``torch.autocast`` is on for a kind of device, such as "cpu"."""
    try:
        return device != "meta" and torch.is_autocast_enabled(device)
    except TypeError:  # torch < 2.4
        return torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled()


class _Recomputed(torch.autograd.Function):
    """A function and a product after it, for less work per call than torch's checkpoint, which takes any function."""

    @staticmethod
    def forward(ctx: Any, function: Callable, then: Product, count: int, weight: Any, bias: Any, *tensors: Any):
        inputs, ctx.parameters = tensors[:count], tensors[count:]
        ctx.function, ctx.backward_of_product = function, then.backward
        ctx.save_for_backward(weight, *inputs)
        return then.forward(function(*inputs), weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor):
        weight, *inputs = ctx.saved_tensors
        _, _, _, needs_weight, needs_bias, *needed = ctx.needs_input_grad
        inputs = [None if x is None else x.detach().requires_grad_(need) for x, need in zip(inputs, needed)]
        with torch.enable_grad():
            x = ctx.function(*inputs)
        wanted = [index for index, need in enumerate(needed) if need]
        needs = (bool(wanted), needs_weight, needs_bias)
        of_x, of_weight, of_bias = ctx.backward_of_product(gradient, x.detach(), weight, needs)
        of_tensors = [None] * len(needed)
        if wanted:
            sources = [*inputs, *ctx.parameters]
            for index, found in zip(wanted, torch.autograd.grad(x, [sources[index] for index in wanted], of_x)):
                of_tensors[index] = found
        return (None, None, None, of_weight, of_bias, *of_tensors)
