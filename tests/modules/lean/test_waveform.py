"""Are features without gradients those of the front end as it is written, and what is kept of weights given up?"""

import copy
import threading

import pytest
import torch
from torch import nn

from fairseq_summarymixing.modules.build import build_frontend
from fairseq_summarymixing.modules.config import FrontendConfig
from fairseq_summarymixing.modules.lean import waveform
from fairseq_summarymixing.modules.lean.derived import weights_unchanged
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.positional import ConvPositions

LAYERS = ((8, 10, 5), (16, 3, 2), (16, 4, 3), (12, 5, 2), (12, 2, 2))  # taps of one, two and three strides


def pair(mode="default", bias=False):
    plain = build_frontend(FrontendConfig(mode, LAYERS, bias)).eval()
    for parameter in plain.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))  # norms that do something
    return plain, make_lean(copy.deepcopy(plain))


@torch.no_grad()
def check(plain, lean, wave):
    expected = plain(wave)[0]
    found = lean(wave)[0]
    torch.testing.assert_close(found, expected, atol=2e-6 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_features_are_those_of_the_front_end(mode, bias, monkeypatch):
    plain, lean = pair(mode, bias)
    monkeypatch.setattr(waveform, "FRAMES", 7)
    monkeypatch.setattr(waveform, "STEPS", 100)
    for samples in (plain.receptive_field, plain.receptive_field + 1, 3000):
        check(plain, lean, torch.randn(2, samples) + 0.3)  # with an offset, as recordings have


def test_every_sample_counts_in_a_waveform_that_is_a_view():
    plain, lean = pair()
    check(plain, lean, torch.randn(2, 6000)[:, ::3])
    check(plain, lean, torch.randn(2, 6000)[1:, 11:2011])


@pytest.mark.parametrize(
    "layer, part, other",
    [
        (0, 2, nn.GroupNorm(2, 8)),
        (0, 2, nn.GroupNorm(8, 8, affine=False)),
        (1, -1, nn.GELU("tanh")),
        (1, 0, nn.Conv1d(8, 16, 3, stride=2, padding=1, bias=False)),
        (1, 0, nn.Conv1d(8, 16, 3, stride=2, groups=2, bias=False)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_parts_of_the_same_class_that_are_set_otherwise_take_effect(layer, part, other):
    plain, _ = pair()
    plain.conv_layers[layer][part] = other
    check(plain, make_lean(copy.deepcopy(plain)), torch.randn(2, 3000))


def test_gradients_take_the_other_way(monkeypatch):
    _, lean = pair()
    monkeypatch.setattr("fairseq_summarymixing.modules.lean.frontend.convolve", None)
    lean(torch.randn(1, 2000))[0].sum().backward()
    assert lean.conv_layers[0][0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kernel", [15, 16])
def test_positions_are_those_of_the_plain_convolution(kernel):
    plain = ConvPositions(24, kernel, 4)
    plain[0].weight_g.data.uniform_(0.5, 2)
    lean = make_lean(copy.deepcopy(plain))
    with torch.no_grad():
        for x in (torch.randn(3, 40, 24), torch.randn(1, 1, 24), torch.randn(2, 24, 40).transpose(1, 2)):
            torch.testing.assert_close(lean(x), plain(x), atol=2e-6, rtol=0)


@torch.no_grad()
def test_weights_that_change_are_noticed_unless_they_were_promised_to_stay():
    plain, lean = pair()
    wave = torch.randn(1, 2000)
    first = lean(wave)[0]
    with weights_unchanged():
        torch.testing.assert_close(lean(wave)[0], first, atol=0, rtol=0)
        lean.conv_layers[1][0].weight.data.mul_(2)
        torch.testing.assert_close(lean(wave)[0], first, atol=0, rtol=0)
    plain.conv_layers[1][0].weight.data.mul_(2)
    check(plain, lean, wave)


def test_what_is_promised_in_one_thread_is_not_in_another():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with weights_unchanged():
            inside.set()
            leave.wait(10)

    plain, lean = pair()
    wave = torch.randn(1, 2000)
    thread = threading.Thread(target=other)
    with weights_unchanged():
        thread.start()
        assert inside.wait(10)
    leave.set()
    thread.join()
    check(plain, lean, wave)
    for each in (plain, lean):
        each.conv_layers[1][0].weight.data.mul_(2)
    check(plain, lean, wave)
