"""Does what is put around, into or onto any leaf of a model take effect, in training and evaluation?"""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from wrapping import Doubled, Reversed, leaves, place

from fairseq_summarymixing.modules.build import MIXERS, build_encoder
from fairseq_summarymixing.modules.config import EncoderConfig
from fairseq_summarymixing.modules.lean.replace import make_lean

SIZES = dict(
    encoder_layers=1,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=32,
    encoder_attention_heads=2,
    conv_pos=4,
    conv_pos_groups=2,
    depthwise_conv_kernel_size=3,
    dropout=0.0,
    attention_dropout=0.0,
)
MODELS = [(mixer, "conformer", True) for mixer in MIXERS] + [
    ("summary_mixing", "transformer", first) for first in (True, False)
]


def build(mixer, encoder_layer, layer_norm_first):
    torch.manual_seed(0)
    fields = dict(mixer=mixer, encoder_layer=encoder_layer, layer_norm_first=layer_norm_first)
    encoder = build_encoder(EncoderConfig(**SIZES, **fields))
    for parameter in encoder.parameters():  # at the start, attention is nearly uniform whatever its queries
        nn.init.normal_(parameter, std=0.5)
    return make_lean(encoder)


X = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_hooks_of_every_leaf_run_once(model, training):
    encoder = build(*model).train(training)
    expected, called = encoder(X).x, []
    for name in leaves(encoder):
        encoder.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    found = encoder(X).x
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found.sum().backward()
    unused = {name for name in leaves(encoder) if name.endswith("layer_norm") and "." not in name}
    assert set(leaves(encoder)) - set(called) <= unused | {"layers.0.dropout"}
    assert len(called) == len(set(called)) + sum(called.count(name) - 1 for name in set(called) if "dropout" in name)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_wrapper_around_any_linear_layer_takes_effect(model, training):
    expected = build(*model).train(training)(X).x
    for name in leaves(build(*model), nn.Linear):
        encoder = build(*model).train(training)
        parent, leaf = place(encoder, name)
        setattr(parent, leaf, Doubled(getattr(parent, leaf)))
        assert not torch.allclose(encoder(X).x, expected, atol=1e-4), name


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_parametrised_and_pruned_weights_take_effect(model):
    expected = build(*model)(X).x
    weighted = [
        name for name, part in build(*model).named_modules() if "weight" in part._parameters and "layers" in name
    ]
    for name in weighted:
        reversed_, pruned = build(*model), build(*model)
        parametrize.register_parametrization(reversed_.get_submodule(name), "weight", Reversed())
        prune.l1_unstructured(pruned.get_submodule(name), "weight", amount=0.9)
        assert not torch.allclose(reversed_(X).x, expected, atol=1e-5), name
        assert not torch.allclose(pruned(X).x, expected, atol=1e-5), name
        reversed_(X).x.sum().backward()
        assert reversed_.get_submodule(name).parametrizations.weight.original.grad is not None


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_dynamic_quantisation_replaces_every_linear_layer(model):
    encoder = build(*model).eval()
    expected, linears = encoder(X).x, leaves(encoder, nn.Linear)
    quantised = torch.ao.quantization.quantize_dynamic(encoder, {nn.Linear}, dtype=torch.qint8)
    assert not leaves(quantised, nn.Linear) and linears
    found = quantised(X).x
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.5, rtol=0.5)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_peft_trains_adapters_of_every_linear_layer(model):
    peft = pytest.importorskip("peft", reason="the dev extra's peft is not installed")
    encoder = build(*model)
    targets = leaves(encoder, nn.Linear)
    config = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    adapted = peft.inject_adapter_in_model(config, encoder)
    out = adapted(X).x
    assert not torch.allclose(out, build(*model)(X).x, atol=1e-4)
    out.square().sum().backward()
    for name in targets:
        layer = adapted.get_submodule(name)
        assert layer.lora_A["default"].weight.grad.abs().sum() > 0, name
        assert layer.base_layer.weight.grad is None or not layer.base_layer.weight.requires_grad
