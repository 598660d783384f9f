"""Matrix products that recompute their inputs in the backward pass, and run by oneDNN on the CPU.

PyTorch's ``F.linear`` calls MKL on the CPU, which reaches less than half of oneDNN's rate on processors that are not
Intel's. There is no public way to ask for the other.
"""

from typing import Callable, Iterable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recompute import is_compiling, recompute, recomputes


def _find_onednn() -> Optional[Callable]:
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.amp, "is_autocast_available"):  # torch < 2.4
        return None
    product = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if product is None:
        return None
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    if product not in flop_registry:

        @register_flop_formula(product)
        def operations(left, right, *args, out_shape, **kwargs) -> int:
            return 2 * left[0] * left[1] * right[0]

    return product


ONEDNN_LINEAR = _find_onednn()
LARGE_WEIGHT = 2**16  # elements of a weight; below, what oneDNN prepares for each new length costs more than it gains


def linear(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """Compute x @ weight^T + bias, as ``F.linear``. x: (..., D); weight: (D', D); bias: (D',)."""
    if _on_cpu(x, weight) and weight.numel() >= LARGE_WEIGHT and x.dim() > 1 and x.shape[-1] == weight.shape[1]:
        return _CpuLinear.apply(_same, (), weight, bias, x)
    return F.linear(x, weight, bias)


def linear_after(
    function: Callable[..., Tensor],
    weight: Tensor,
    bias: Optional[Tensor],
    *inputs: Optional[Tensor],
    parameters: Iterable[nn.Parameter] = (),
) -> Tensor:
    """Compute linear(function(*inputs), weight, bias) and store the inputs alone for the backward pass.

    Args:
        function: to (..., D), cheap. It draws no random numbers, holds no activations, and calls the ``forward`` of
            modules, not the modules: what tools hook into them must not run again in backward.
        parameters: those that the function uses.
    """
    if not recomputes():
        return linear(function(*inputs), weight, bias)
    if _on_cpu(inputs[0], weight):
        parameters = tuple(parameters)
        return _CpuLinear.apply(function, parameters, weight, bias, *inputs, *parameters)
    return recompute(lambda *inputs: F.linear(function(*inputs), weight, bias), *inputs)


def _on_cpu(x: Tensor, weight: Tensor) -> bool:
    return (
        ONEDNN_LINEAR is not None
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not is_compiling()
        and not torch.jit.is_tracing()
        and type(x) is Tensor  # not what stands for a tensor while a graph is made
        and x.numel() > 0
    )


def _same(x: Tensor) -> Tensor:
    return x


def _product(left: Tensor, right: Tensor, bias: Optional[Tensor], large: bool) -> Tensor:
    """Return left @ right^T + bias. left: (N, K), right: (M, K). Rows apart, as in a slice, would take oneDNN's slow
    way."""
    if not large:
        return F.linear(left, right, bias)
    left, right = (x if x.is_contiguous() or x.t().is_contiguous() else x.contiguous() for x in (left, right))
    return ONEDNN_LINEAR(left, right, bias, "none", [], "")


class _CpuLinear(torch.autograd.Function):
    """The product F.linear(function(*inputs), weight, bias), with the function recomputed in the backward pass."""

    @staticmethod
    def forward(ctx, function, parameters, weight, bias, *tensors):
        inputs = tensors[: len(tensors) - len(parameters)]
        ctx.function, ctx.parameters, ctx.large = function, parameters, weight.numel() >= LARGE_WEIGHT
        ctx.save_for_backward(weight, *inputs)
        x = function(*inputs)
        return _product(x.flatten(0, -2), weight, bias, ctx.large).unflatten(0, x.shape[:-1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        weight, *inputs = ctx.saved_tensors
        _, _, needs_weight, needs_bias, *needed = ctx.needs_input_grad
        inputs = [None if x is None else x.detach().requires_grad_(need) for x, need in zip(inputs, needed)]
        with torch.enable_grad():
            x = ctx.function(*inputs)
        rows = gradient.flatten(0, -2)
        of_tensors = [None] * len(needed)
        wanted = [index for index, need in enumerate(needed) if need]
        if wanted:
            sources = [*inputs, *ctx.parameters]
            of_x = _product(rows, weight.t(), None, ctx.large).view_as(x)
            for index, found in zip(wanted, torch.autograd.grad(x, [sources[index] for index in wanted], of_x)):
                of_tensors[index] = found
        columns = x.detach().flatten(0, -2).t()
        of_weight = _product(rows.t(), columns, None, ctx.large) if needs_weight else None
        of_bias = rows.sum(0) if needs_bias else None
        return (None, None, of_weight, of_bias, *of_tensors)
