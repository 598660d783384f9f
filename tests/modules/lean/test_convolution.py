"""Do the ways in which a GPU convolves give what PyTorch's own convolution gives?"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairseq_summarymixing.modules.lean import convolution as module
from fairseq_summarymixing.modules.lean.convolution import LeanConv1d, LeanConvPositions, fourier_convolution
from fairseq_summarymixing.modules.lean.recompute import recompute
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.positional import ConvPositions


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(module, "_is_half_on_gpu", lambda x: True)


def gradients(out, *tensors):
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((out * weights).sum(), tensors)


@pytest.mark.parametrize("frames", [1, 384, 385, 386, 900])  # around a block's 385
@pytest.mark.parametrize("size, groups", [(128, 4), (128, 1), (31, 2)])
def test_a_fourier_convolution_is_pytorchs(frames, size, groups):
    torch.manual_seed(0)
    x = torch.randn(2, frames, 8, requires_grad=True)
    weight, bias = torch.randn(8, 8 // groups, size, requires_grad=True), torch.randn(8, requires_grad=True)
    found = fourier_convolution(x, weight, bias, groups)
    expected = F.conv1d(x.transpose(1, 2), weight, bias, padding=size // 2, groups=groups)[..., :frames].transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    tensors = (x, weight, bias)
    torch.testing.assert_close(gradients(found, *tensors), gradients(expected, *tensors), atol=3e-4, rtol=1e-4)


def test_positions_are_the_same(as_on_a_gpu):
    torch.manual_seed(0)
    plain = ConvPositions(8, 16, 2)
    x = torch.randn(2, 500, 8, requires_grad=True)
    expected = plain(x)
    of_plain = gradients(expected, x, *plain.parameters())
    lean = make_lean(plain)
    assert type(lean) is LeanConvPositions
    torch.testing.assert_close(lean(x), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradients(lean(x), x, *plain.parameters()), of_plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [dict(padding=2, groups=6), dict(padding=2), dict(stride=2, bias=False)])
@pytest.mark.parametrize("then", [False, True], ids=["alone", "after something recomputed"])
def test_channels_as_neighbours_change_nothing(options, then, as_on_a_gpu):
    torch.manual_seed(0)
    plain = nn.Conv1d(6, 6, 5, **options)
    x = torch.randn(2, 6, 40, requires_grad=True)
    expected = plain(F.gelu(x)) if then else plain(x)
    of_plain = gradients(expected, x, *plain.parameters())
    lean = make_lean(plain)
    assert type(lean) is LeanConv1d
    found = recompute(F.gelu, x, then=module.convolution(lean)) if then else lean(x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, x, *plain.parameters()), of_plain)
