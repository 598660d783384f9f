"""Is a product by oneDNN, with what comes before it recomputed, the same as PyTorch's?"""

import pytest
import torch
import torch.nn.functional as F

from fairseq_summarymixing.modules.lean import linear as module
from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes
from fairseq_summarymixing.modules.lean.linear import linear, linear_after
from fairseq_summarymixing.modules.lean.recompute import store_everything

needs_onednn = pytest.mark.skipif(
    module.ONEDNN_LINEAR is None, reason="oneDNN's product needs torch >= 2.4 with oneDNN"
)


def check(ours, theirs, *tensors):
    """Values, and gradients of every tensor."""
    expected = theirs()
    weights = torch.randn_like(expected)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), tensors)
    found = ours()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), tensors), expected_gradients, atol=1e-4, rtol=1e-5
    )


@pytest.fixture(autouse=True, params=[0, 2**40], ids=["oneDNN", "MKL"])
def threshold(request, monkeypatch):
    monkeypatch.setattr(module, "LARGE_WEIGHT", request.param)


@needs_onednn
@pytest.mark.parametrize("shape", [(1, 5), (7, 5), (2, 3, 5), (2, 1, 3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_pytorchs(shape, bias):
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 4, bias=bias)
    x = torch.randn(shape, requires_grad=True)
    assert module._is_onednns(x, layer.weight) == (module.LARGE_WEIGHT == 0)
    check(
        lambda: linear(x, layer.weight, layer.bias),
        lambda: F.linear(x, layer.weight, layer.bias),
        x,
        *layer.parameters(),
    )


def test_slices_and_transposed_tensors():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 10, requires_grad=True)
    weight = torch.randn(4, 10, requires_grad=True)
    check(lambda: linear(x[..., :5], weight[:, 5:]), lambda: F.linear(x[..., :5], weight[:, 5:]), x, weight)
    turned = x.transpose(0, 1)
    check(lambda: linear(turned, weight), lambda: F.linear(turned, weight), x, weight)


def test_what_comes_before_is_recomputed_and_not_stored():
    torch.manual_seed(0)
    norm, layer = torch.nn.LayerNorm(8), torch.nn.Linear(8, 6)
    x = torch.randn(50, 8, requires_grad=True)
    mask = torch.rand(50, 8) > 0.5

    def before(x, mask):
        return F.gelu(norm(x)) * mask

    def after():
        return linear_after(before, layer.weight, layer.bias, x, mask, parameters=norm.parameters())

    parameters = [*norm.parameters(), *layer.parameters()]
    check(after, lambda: F.linear(before(x, mask), layer.weight, layer.bias), x, *parameters)
    with count_activation_bytes(torch.nn.ModuleList([norm, layer])) as saved:
        after()
    if module.recomputes():
        assert saved.total <= 50 * 8 * (4 + 1)  # x and the mask
    with store_everything():
        check(after, lambda: F.linear(before(x, mask), layer.weight, layer.bias), x, *parameters)


def test_frozen_weights_get_no_gradient():
    norm, layer = torch.nn.LayerNorm(8), torch.nn.Linear(8, 6).requires_grad_(False)
    norm.weight.requires_grad_(False)
    x = torch.randn(5, 8)
    linear_after(norm, layer.weight, layer.bias, x, parameters=norm.parameters()).sum().backward()
    assert norm.bias.grad is not None and norm.weight.grad is None and layer.weight.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_and_autocast_are_pytorchs(dtype):
    layer = torch.nn.Linear(5, 4)
    x = torch.randn(3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, layer.weight, layer.bias).dtype == torch.bfloat16
    layer, x = layer.to(dtype), x.to(dtype)
    assert torch.equal(linear(x, layer.weight, layer.bias), F.linear(x, layer.weight, layer.bias))


@needs_onednn
def test_operations_are_counted():
    from torch.utils.flop_counter import FlopCounterMode

    x, layer = torch.randn(7, 5, requires_grad=True), torch.nn.Linear(5, 4)
    with FlopCounterMode(display=False) as counter:
        linear(x, layer.weight, layer.bias).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * 7 * 5 * 4
