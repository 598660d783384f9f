"""Is the conformer layer the paper's, around any mixer, and blind to padding?"""

import math

import pytest
import reference
import torch
import torch.nn.functional as F

from fairseq_summarymixing.modules.build import MIXERS, build_layer
from fairseq_summarymixing.modules.config import EncoderConfig
from fairseq_summarymixing.modules.conformer import ConvolutionModule
from fairseq_summarymixing.modules.positional import SinusoidalPositions

TINY = dict(
    encoder_layer="conformer",
    positions="sinusoidal",
    encoder_layers=2,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=24,
    encoder_attention_heads=4,
    activation_fn="swish",
    depthwise_conv_kernel_size=5,
    layer_norm_first=True,
    dropout=0.0,
    attention_dropout=0.0,
)


def feed_forward(part, frame):
    hidden = part.fc1.weight @ frame + part.fc1.bias
    return part.fc2.weight @ (hidden * torch.sigmoid(hidden)) + part.fc2.bias


def convolution(part, frames):
    """The convolution module frame by frame. frames: (T, D)."""
    dim = frames.shape[1]
    gated = []
    for frame in frames:
        both = part.pointwise_in(frame)
        gated.append(both[:dim] * torch.sigmoid(both[dim:]))
    half, outputs = part.depthwise.weight.shape[-1] // 2, []
    for t in range(len(frames)):
        total = part.depthwise.bias
        for offset in range(-half, half + 1):
            if 0 <= t + offset < len(frames):
                total = total + part.depthwise.weight[:, 0, half + offset] * gated[t + offset]
        outputs.append(part.pointwise_out(F.silu(part.layer_norm(total))))
    return torch.stack(outputs)


def slow_layer(layer, x, lengths):
    """Gulati et al. 2020, Eq. 1, one utterance and one frame at a time; padding gives 0. x: (B, T, D)."""
    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        frames = x[b, :length]
        first = [feed_forward(layer.first_feed_forward, layer.first_feed_forward_layer_norm(f)) for f in frames]
        frames = frames + 0.5 * torch.stack(first)
        frames = frames + layer.mixer(layer.mixer_layer_norm(frames).unsqueeze(0))[0]
        frames = frames + convolution(layer.convolution, layer.convolution_layer_norm(frames))
        second = [feed_forward(layer.second_feed_forward, layer.second_feed_forward_layer_norm(f)) for f in frames]
        out[b, :length] = layer.final_layer_norm(frames + 0.5 * torch.stack(second))
    return out


@pytest.mark.parametrize("mixer", MIXERS)
def test_layer_is_the_papers_equation_in_values_and_gradients(mixer):
    torch.manual_seed(0)
    layer = build_layer(EncoderConfig(**TINY, mixer=mixer)).double()
    x = torch.randn(3, 9, 16, dtype=torch.float64)
    lengths = [9, 2, 1]
    real = ~reference.padding_mask(lengths, 9).unsqueeze(-1)
    weight = torch.randn_like(x)
    gradients = []
    for run in (lambda: layer(x, ~real.squeeze(-1)) * real, lambda: slow_layer(layer, x, lengths)):
        layer.zero_grad()
        out = run()
        (out * weight).sum().backward()
        gradients.append((out.detach(), [p.grad.clone() for p in layer.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-10, rtol=1e-8)


def test_dropout_acts_on_the_output_of_every_part():
    layer = build_layer(EncoderConfig(**{**TINY, "dropout": 1.0})).train()
    x = torch.randn(2, 7, 16)
    torch.testing.assert_close(layer(x), layer.final_layer_norm(x))


def test_sinusoidal_positions_are_their_formula_and_have_no_last_frame():
    found = SinusoidalPositions(6)(torch.zeros(2, 5000, 6))
    assert found.shape == (1, 5000, 6)
    for t in (0, 1, 3500, 4999):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            expected = torch.tensor([math.sin(angle), math.cos(angle)])
            torch.testing.assert_close(found[0, t, 2 * i : 2 * i + 2], expected, atol=1e-3, rtol=0)
    half = SinusoidalPositions(6)(torch.zeros(1, 5000, 6, dtype=torch.bfloat16))
    assert (half - found).abs().max() < 0.01, "neighbours must differ in half precision too"


@pytest.mark.parametrize("kernel_size", [4, 0])
def test_a_kernel_without_a_middle_is_refused(kernel_size):
    with pytest.raises(ValueError, match="depthwise_conv_kernel_size must be odd and positive"):
        ConvolutionModule(16, kernel_size)


def test_an_odd_width_has_no_sinusoids():
    with pytest.raises(ValueError, match="encoder_embed_dim must be even for sinusoidal positions; got 15"):
        SinusoidalPositions(15)
