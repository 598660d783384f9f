"""Is every lean layer the plain one: the same values and gradients, with padding, dropout and half precision?"""

import copy

import pytest
import reference
import torch

from fairseq_summarymixing.modules import build as shapes
from fairseq_summarymixing.modules.build import build_frontend, build_layer
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig
from fairseq_summarymixing.modules.feed_forward import FeedForward
from fairseq_summarymixing.modules.lean import dropout as lean_dropout
from fairseq_summarymixing.modules.lean import linear as lean_linear
from fairseq_summarymixing.modules.lean.replace import LEAN, make_lean

DIM = 24
CONV = ((8, 10, 5), (8, 3, 2), (12, 2, 2))


def layer(**fields):
    sizes = dict(
        encoder_embed_dim=DIM, encoder_ffn_embed_dim=40, encoder_attention_heads=4, depthwise_conv_kernel_size=5
    )
    drops = dict(dropout=0.2, attention_dropout=0.2, activation_dropout=0.2)
    return build_layer(EncoderConfig(**{**sizes, **drops, **fields}))


def mixer(name, **fields):
    return layer(mixer=name, **fields).mixer


LAYERS = {
    **{name: lambda name=name: mixer(name) for name in shapes.MIXERS},
    "summary_mixing, no norms, narrow": lambda: mixer(
        "summary_mixing", summary_hidden_dim=12, summary_branch_norm=False
    ),
    "feed-forward": lambda: FeedForward(DIM, 40, dropout=0.2),
    "convolution module": lambda: layer(encoder_layer="conformer").convolution,
    "transformer, post-norm": lambda: layer(),
    "transformer, pre-norm": lambda: layer(layer_norm_first=True),
    "conformer": lambda: layer(encoder_layer="conformer", activation_fn="swish"),
    "conformer, self_attention": lambda: layer(encoder_layer="conformer", mixer="self_attention"),
}
FRONTENDS = {
    "waveform, default": lambda: build_frontend(FrontendConfig("default", CONV)),
    "waveform, layer_norm": lambda: build_frontend(FrontendConfig("layer_norm", CONV, conv_bias=True)),
    "log_mel": lambda: build_frontend(FrontendConfig(frontend="log_mel", mel_conv_layers=((12, 3, 2), (12, 3, 1)))),
}


@pytest.fixture(autouse=True)
def pytorchs_draws(monkeypatch):
    """Lean masks are drawn with 16 bits; here as PyTorch's own dropout draws them, and products are oneDNN's."""

    def draw(dropout, x, shape=None):
        if not dropout.training or dropout.p == 0:
            return None
        return torch.empty(x.shape if shape is None else shape, dtype=x.dtype).bernoulli_(1 - dropout.p).bool()

    for name in ("dropout", "feed_forward", "summary_mixing"):
        module = __import__(f"{lean_dropout.__package__}.{name}", fromlist=["draw_mask"])
        monkeypatch.setattr(module, "draw_mask", draw)
    monkeypatch.setattr(lean_linear, "LARGE_WEIGHT", 0)


def run(module, inputs, call):
    torch.manual_seed(3)
    x = inputs.clone().requires_grad_(inputs.is_floating_point())
    out = call(module, x)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(5), dtype=out.dtype)
    used = [x, *(p for p in module.parameters() if p.requires_grad)]
    return out, torch.autograd.grad((out * weights).sum(), used, allow_unused=True)


def results(make, inputs, call, training):
    """Of the lean version and of the plain one: the output, and the gradients of the input and of every parameter."""
    torch.manual_seed(0)
    plain = make().train(training)
    lean = make_lean(copy.deepcopy(plain))
    assert type(lean) is LEAN.get(type(plain), type(plain))
    assert lean.state_dict().keys() == plain.state_dict().keys()
    return run(lean, inputs, call), run(plain, inputs, call)


def check(make, inputs, call, training, **tolerance):
    for found, expected in zip(*results(make, inputs, call, training)):
        torch.testing.assert_close(found, expected, **tolerance)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("lengths", [[1], [7], [9, 4, 1]], ids=str)
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_lean_is_plain(make, lengths, training):
    mask = reference.padding_mask(lengths, max(lengths))
    x = torch.randn(len(lengths), max(lengths), DIM)

    def call(module, x):
        out = module(x) if isinstance(module, FeedForward) else module(x, mask if mask.any() else None)
        return out.masked_fill(mask.unsqueeze(-1), 0)

    check(make, x, call, training, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("make", FRONTENDS.values(), ids=FRONTENDS.keys())
def test_lean_front_ends_are_plain(make):
    lengths = torch.tensor([1200, 700])
    check(make, torch.randn(2, 1200), lambda module, x: module(x, lengths)[0], True, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [LAYERS["summary_mixing"], LAYERS["conformer"]], ids=["summary_mixing", "conformer"])
def test_lean_is_plain_in_bf16(make):
    def call(module, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(x, None).float()

    (out, gradients), (expected_out, expected_gradients) = results(make, torch.randn(2, 7, DIM), call, False)
    for found, expected in zip([out, *gradients], [expected_out, *expected_gradients]):
        assert (found - expected).norm() <= 0.02 * expected.norm()  # two roundings of bf16 are 0.8 %
