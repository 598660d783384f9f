"""Is what is stored for the backward pass as little as claimed, at the same values and gradients?"""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_summarymixing.modules.build import build_frontend, build_layer
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig
from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes
from fairseq_summarymixing.modules.lean.dropout import LeanDropout, apply_mask, draw_mask
from fairseq_summarymixing.modules.lean.linear import linear_after
from fairseq_summarymixing.modules.lean.recompute import STOPS_EARLY, recompute
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

needs_early_stop = pytest.mark.skipif(not STOPS_EARLY, reason="recomputes with torch >= 2.1")


def saved_frames(module, dim, frames=1000):
    """fp32 tensors of (frames, dim) that one call keeps."""
    x = torch.randn(1, frames, dim, requires_grad=True)
    with count_activation_bytes(module) as saved:
        module(x)
    return saved.total / (4 * frames * dim)


@needs_early_stop
def test_the_cell_keeps_its_input_one_product_of_each_branch_the_sum_and_a_mask():
    assert saved_frames(make_lean(SummaryMixing(64, 4, dropout=0.1)), 64) == pytest.approx(4.25, abs=0.05)


@needs_early_stop
@pytest.mark.parametrize("encoder_layer, tensors", [("transformer", 12), ("conformer", 25)])
def test_layers_keep_each_product_once(encoder_layer, tensors):
    fields = dict(encoder_embed_dim=64, encoder_ffn_embed_dim=256, encoder_attention_heads=4, dropout=0.1)
    layer = make_lean(build_layer(EncoderConfig(encoder_layer=encoder_layer, layer_norm_first=True, **fields)))
    assert saved_frames(layer, 64) < tensors


@needs_early_stop
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_the_waveform_front_end_keeps_each_convolution_once(mode):
    frontend = make_lean(build_frontend(FrontendConfig(mode, ((16, 10, 5), (16, 3, 2), (16, 3, 2)))))
    wave = torch.randn(1, 16000)
    with count_activation_bytes(frontend) as saved:
        frontend(wave)
    outputs = 4 * 16 * (3199 + 1599 + 799)
    assert saved.total < 1.4 * outputs + wave.numel() * 4


def test_computing_again_gives_the_same_values_and_gradients_without_the_product():
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 5)
    x = torch.randn(7, 6, requires_grad=True)
    results = []
    for run in (lambda: linear(F.gelu(x)), lambda: linear_after(F.gelu, linear.weight, linear.bias, x)):
        out = run()
        results.append((out, torch.autograd.grad(out.square().sum(), [x, *linear.parameters()])))
    torch.testing.assert_close(results[0], results[1], atol=0, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(recompute(linear.forward, x, parameters=linear.parameters()), linear(x))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.999])
def test_dropout_keeps_the_share_and_the_mean_and_repeats_with_the_seed(p):
    dropout = LeanDropout(p)
    x = torch.ones(1000, 1003)
    torch.manual_seed(0)
    out = dropout(x)
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=2e-3)
    assert out.max().item() == pytest.approx(1 / (1 - p))
    torch.manual_seed(0)
    assert torch.equal(dropout(x), out)
    assert not torch.equal(dropout(x), out)
    zeros = (out == 0).float()
    assert zeros.mean(dim=0).std().item() == pytest.approx((p * (1 - p) / 1000) ** 0.5, rel=0.2), "columns are alike"
    assert torch.equal(dropout.eval()(x), x)


def test_dropout_of_everything_and_of_nothing():
    x = torch.randn(3, 5)
    assert (LeanDropout(1.0)(x) == 0).all()
    assert LeanDropout(0.0)(x) is x


class Kernels(TorchDispatchMode):
    """The names of the operators that a GPU launches a kernel for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if not function.is_view and name not in ("device", "empty"):
            self.names.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.skipif(not hasattr(torch.amp, "is_autocast_available"), reason="torch < 2.4 fakes no GPU where none is")
def test_dropout_on_a_gpu_is_one_kernel_and_two_where_its_mask_is_drawn_apart():
    from torch._subclasses.fake_tensor import FakeTensorMode

    dropout = LeanDropout(0.1)
    with FakeTensorMode(), Kernels() as kernels:
        x = torch.empty(4, 8, device="cuda")
        dropout(x)
        assert kernels.names == ["native_dropout"]
        apply_mask(dropout, x, draw_mask(dropout, x))
        assert kernels.names[1:] == ["bernoulli_", "native_dropout_backward"]


def test_the_kernel_that_applies_a_mask_on_a_gpu_multiplies_values_and_gradients():
    x, mask, weights = torch.randn(5, 6, requires_grad=True), torch.rand(5, 6) < 0.7, torch.randn(5, 6)
    out = torch.ops.aten.native_dropout_backward(x, mask, 1 / 0.7)
    torch.testing.assert_close(out, x * mask / 0.7)
    torch.testing.assert_close(torch.autograd.grad((out * weights).sum(), x)[0], weights * mask / 0.7)
