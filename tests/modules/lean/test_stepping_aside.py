"""Does what is put around, into or onto any leaf of a model take effect, in training and evaluation?"""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from wrapping import Flipped, Reversed, leaves, place

from fairseq_summarymixing.modules.build import MIXERS, build_layer
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from fairseq_summarymixing.modules.frontend import ConvFeatureExtractor
from fairseq_summarymixing.modules.lean.replace import LEAN, make_lean
from fairseq_summarymixing.modules.positional import WeightNormConv1d
from fairseq_summarymixing.modules.summary_mixing import BlockDiagonalLinear
from fairseq_summarymixing.modules.wav2vec2 import Wav2Vec2

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
CONV = ((8, 10, 5), (8, 8, 8), (12, 4, 4))
FRONTENDS = {
    "group_norm": dict(conv_feature_layers=CONV),
    "layer_norm": dict(conv_feature_layers=CONV, extractor_mode="layer_norm", conv_bias=True),
    "log_mel": dict(frontend="log_mel", mel_conv_layers=((8, 3, 1), (12, 3, 1))),
}
# by mixer, each front end, kind of layer and positions once; of others, a post-norm transformer
MODELS = {
    "summary_mixing": ("group_norm", dict(encoder_layer="conformer")),
    "summary_mixing_lite": ("log_mel", dict(encoder_layer="conformer", positions="sinusoidal")),
    "self_attention": ("layer_norm", dict(layer_norm_first=True)),
}
WAVES = torch.randn(2, 2000, generator=torch.Generator().manual_seed(1))
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


@pytest.fixture(params=MIXERS)
def plain(request):
    """A whole model of plain layers."""
    frontend, fields = MODELS.get(request.param, ("group_norm", {}))
    encoder = EncoderConfig(**SIZES, **fields, mixer=request.param)
    objective = ObjectiveConfig(num_negatives=5, final_dim=8, quantize_targets=True, latent_vars=32)
    model = Wav2Vec2(FrontendConfig(**FRONTENDS[frontend]), encoder, MaskingConfig(mask_length=2), objective)
    for parameter in model.parameters():  # at the start, attention is nearly uniform whatever its queries
        nn.init.normal_(parameter, std=0.5)
    return model


def lean_copy(plain):
    lean = make_lean(copy.deepcopy(plain))
    assert {type(part) for part in lean.modules()} & set(LEAN.values())
    return lean


def logits(model):
    """Those of a step, with gradients in training alone."""
    with torch.set_grad_enabled(model.training):
        return model(WAVES, seeds=[1, 2]).logits


def count_calls(model, names):
    """How often the hooks of modules run in a step, in training with its backward pass, by name."""
    called = dict.fromkeys(names, 0)

    def hook(name):
        def count(*_):
            called[name] += 1

        return count

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    found = logits(model)
    if model.training:
        found.sum().backward()
    for handle in handles:
        handle.remove()
    return called


@MODES
def test_a_hook_on_any_leaf_runs_as_often_as_in_the_plain_model(plain, training):
    lean = lean_copy(plain.train(training))
    expected = count_calls(plain, leaves(plain))
    assert count_calls(lean, leaves(lean)) == expected
    assert {name: calls for leaf in leaves(lean) for name, calls in count_calls(lean, [leaf]).items()} == expected


@MODES
def test_a_wrapper_around_any_linear_layer_or_convolution_takes_effect(plain, training):
    lean = lean_copy(plain.train(training))
    before = logits(plain)
    for name in leaves(plain, (nn.Linear, nn.Conv1d, WeightNormConv1d, BlockDiagonalLinear)):
        results = []
        for model in (plain, lean):
            parent, leaf = place(model, name)
            inner = parent.get_submodule(leaf)
            setattr(parent, leaf, Flipped(inner))
            results.append(logits(model))
            setattr(parent, leaf, inner)
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(results[1], before, atol=1e-3), name


@MODES
def test_parametrised_and_pruned_weights_take_effect(plain, training):
    lean = lean_copy(plain.train(training))
    before = logits(lean)
    for name in [name for name, part in lean.named_modules() if "weight" in part._parameters]:
        layer = lean.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", Reversed())
        found = logits(lean)
        assert not torch.allclose(found, before, atol=1e-5), name
        if training:
            (gradient,) = torch.autograd.grad(found.sum(), layer.parametrizations.weight.original)
            assert gradient.any(), name
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        prune.l1_unstructured(layer, "weight", amount=0.9)
        assert not torch.allclose(logits(lean), before, atol=1e-5), name
        layer.weight_mask = torch.ones_like(layer.weight_mask)  # and back
        prune.remove(layer, "weight")
    assert torch.equal(logits(lean), before)


def test_dynamic_quantisation_replaces_every_linear_layer(plain):
    lean = lean_copy(plain.eval())
    expected, linears = lean.encode(WAVES).x, leaves(lean, nn.Linear)
    quantised = torch.ao.quantization.quantize_dynamic(lean, {nn.Linear}, dtype=torch.qint8)
    assert not leaves(quantised, nn.Linear) and linears
    found = quantised.encode(WAVES).x
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.5, rtol=0.5)


@MODES
def test_peft_trains_adapters_of_every_linear_layer(plain, training):
    peft = pytest.importorskip("peft", reason="the dev extra's peft is not installed")
    lean = lean_copy(plain)
    before, targets = logits(lean.train(training)), leaves(lean, nn.Linear)
    config = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    adapted = peft.inject_adapter_in_model(config, lean).train(training)
    found = logits(adapted)
    assert not torch.allclose(found, before, atol=1e-4)
    if training:
        found.square().sum().backward()
        for name in targets:
            layer = adapted.get_submodule(name)
            assert layer.lora_A["default"].weight.grad.abs().sum() > 0, name
            assert layer.base_layer.weight.grad is None or not layer.base_layer.weight.requires_grad


X = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(1))


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


@MODES
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
