"""Does what is put around, into or onto any leaf of a model take effect, in training and evaluation?"""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from wrapping import Doubled, Reversed, leaves, place

from fairseq_summarymixing.modules.build import MIXERS, build_encoder, build_layer
from fairseq_summarymixing.modules.config import EncoderConfig
from fairseq_summarymixing.modules.frontend import ConvFeatureExtractor
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.summary_mixing import BlockDiagonalLinear

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


def low_rank(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 2), nn.Linear(2, outputs))


OTHER_CLASSES = {
    "fc1, two products": ("feed_forward.fc1", lambda: low_rank(16, 32)),
    "fc1, block-diagonal": ("feed_forward.fc1", lambda: BlockDiagonalLinear(16, 32, 2)),
    "fc2, block-diagonal": ("feed_forward.fc2", lambda: BlockDiagonalLinear(32, 16, 2)),
    "dropout, Identity": ("feed_forward.dropout", nn.Identity),
    "dropout, AlphaDropout": ("feed_forward.dropout", lambda: nn.AlphaDropout(0.3)),
    "activation, Dropout": ("feed_forward.activation", lambda: nn.Dropout(0.3)),
    "activation, GELU": ("feed_forward.activation", nn.GELU),
    "pointwise_in, two products": ("convolution.pointwise_in", lambda: low_rank(16, 32)),
    "pointwise_out, two products": ("convolution.pointwise_out", lambda: low_rank(16, 16)),
    "convolution's norm, Dropout": ("convolution.layer_norm", lambda: nn.Dropout(0.3)),
    "convolution's activation, Dropout": ("convolution.activation", lambda: nn.Dropout(0.3)),
    "norm, Dropout": ("final_layer_norm", lambda: nn.Dropout(0.3)),
    "combiner, two products": ("mixer.combiner", lambda: low_rank(32, 16)),
    "mixer's dropout, Identity": ("mixer.dropout", nn.Identity),
    "mixer's dropout, AlphaDropout": ("mixer.dropout", lambda: nn.AlphaDropout(0.3)),
    "local norm, Dropout": ("mixer.local_norm", lambda: nn.Dropout(0.3)),
    "branch, a layer": ("mixer.local", lambda: nn.Linear(16, 16)),
    "linear1, two products": ("mixer.local.linear1", lambda: low_rank(16, 16)),
    "linear1, a layer": ("mixer.summary.linear1", lambda: nn.Linear(16, 16)),
    "linear2, other heads": ("mixer.summary.linear2", lambda: BlockDiagonalLinear(16, 16, 4)),
    "branch's activation, Dropout": ("mixer.summary.activation", lambda: nn.Dropout(0.3)),
    "q_proj, two products": ("mixer.q_proj", lambda: low_rank(16, 16)),
    "out_proj, block-diagonal": ("mixer.out_proj", lambda: BlockDiagonalLinear(16, 16, 2)),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("path, make", OTHER_CLASSES.values(), ids=OTHER_CLASSES.keys())
def test_parts_of_any_other_class_are_called(path, make, training):
    fields = dict(
        mixer="self_attention" if "proj" in path else "summary_mixing",
        encoder_layer="conformer" if "convolution" in path else "transformer",
    )
    check_with_another_part(
        build_layer(EncoderConfig(**SIZES, **fields, layer_norm_first=True)), path, make, X, training
    )


@pytest.mark.parametrize(
    "path, make",
    [("0.1", lambda: nn.Dropout(0.3)), ("1.0", lambda: nn.Conv1d(8, 8, 3)), ("1", lambda: nn.Conv1d(8, 8, 3))],
)
def test_layers_of_a_front_end_of_any_other_class_are_called(path, make):
    frontend = ConvFeatureExtractor(((8, 10, 5), (8, 3, 2), (12, 2, 2)))
    check_with_another_part(frontend, f"conv_layers.{path}", make, torch.randn(2, 400), True)


def check_with_another_part(plain, path, make, inputs, training):
    """The lean module with another part gives the values and gradients of the plain one with that part."""
    lean, results = make_lean(copy.deepcopy(plain)), []
    another = make()
    for module in (plain, lean):
        parent, leaf = place(module.train(training), path)
        if leaf in vars(parent):  # a function
            delattr(parent, leaf)
        setattr(parent, leaf, copy.deepcopy(another))
        torch.manual_seed(3)
        x = inputs.clone().requires_grad_()
        out = module(x)
        out = out[0] if isinstance(out, tuple) else out
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(5))
        results.append((out, torch.autograd.grad((out * weights).sum(), [x, *module.parameters()], allow_unused=True)))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)
