"""Matrix products that recompute their inputs in the backward pass, and run by oneDNN on the CPU.

PyTorch's ``F.linear`` calls MKL on the CPU, which reaches less than half of oneDNN's rate on processors that are not
Intel's. There is no public way to ask for the other.
"""

from typing import Any, Callable, Iterable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recompute import Gradients, Product, is_compiling, recompute, recomputes


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
    if _is_onednns(x, weight) and x.dim() > 1 and x.shape[-1] == weight.shape[1]:
        return _OneDnnLinear.apply(x, weight, bias)
    return F.linear(x, weight, bias)


def linear_after(
    function: Callable[..., Tensor],
    weight: Tensor,
    bias: Optional[Tensor],
    *inputs: Optional[Tensor],
    parameters: Iterable[nn.Parameter] = (),
) -> Tensor:
    """Compute linear(function(*inputs), weight, bias) and store the inputs alone for the backward pass.

    Arguments as in :func:`.recompute.recompute`; the function's result is (..., D).
    """
    if not recomputes():
        return linear(function(*inputs), weight, bias)
    product = Product(weight, bias, _forward, _backward)
    return recompute(function, *inputs, parameters=parameters, then=product)


def _is_onednns(x: Tensor, weight: Tensor) -> bool:
    return (
        ONEDNN_LINEAR is not None
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and weight.numel() >= LARGE_WEIGHT
        and not torch.is_autocast_enabled("cpu")
        and not is_compiling()
        and not torch.jit.is_tracing()
        and type(x) is Tensor  # not what stands for a tensor while a graph is made
        and x.numel() > 0
    )


def _rows(left: Tensor, right: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Return left @ right^T + bias. left: (N, K), right: (M, K). Rows apart, as in a slice, would take oneDNN's slow
    way."""
    left, right = (x if x.is_contiguous() or x.t().is_contiguous() else x.contiguous() for x in (left, right))
    return ONEDNN_LINEAR(left, right, bias, "none", [], "")


def _forward(x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    product = _rows if _is_onednns(x, weight) else F.linear
    return product(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


def _backward(gradient: Tensor, x: Tensor, weight: Tensor, needed: Tuple[bool, bool, bool]) -> Gradients:
    product = _rows if _is_onednns(x, weight) else F.linear
    rows = gradient.flatten(0, -2)
    return (
        product(rows, weight.t(), None).view_as(x) if needed[0] else None,
        product(rows.t(), x.flatten(0, -2).t(), None) if needed[1] else None,
        rows.sum(0) if needed[2] else None,
    )


class _OneDnnLinear(torch.autograd.Function):
    """The product F.linear(x, weight, bias)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _forward(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        return _backward(gradient, *ctx.saved_tensors, ctx.needs_input_grad)
