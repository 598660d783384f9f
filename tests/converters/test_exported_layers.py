"""Does what is put around, into or onto a layer of an exported model take effect, in training and evaluation?

The model is of the class in the exported directory, as transformers loads it with ``trust_remote_code=True``.
"""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from wrapping import Flipped, Reversed, leaves, place

pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

from transformers import dynamic_module_utils

KINDS = ("summary_mixing", "lite", "paper", "paper_twin", "hyper_mixing", "fastformer")
WAVE = torch.randn(2, 4000, generator=torch.Generator().manual_seed(1))
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


@pytest.fixture(scope="module", autouse=True)
def modules_cache(tmp_path_factory):
    """Where transformers keeps the code of directories."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        yield


@pytest.fixture(scope="module", params=KINDS)
def load(request, exported):
    """``load(training=False)``: load the exported CTC model again."""
    folder = str(exported(request.param, ctc=True))
    # as AutoModelForCTC does, where no class of this package is registered
    kind = dynamic_module_utils.get_class_from_dynamic_module("modeling_summarymixing.SummaryMixingForCTC", folder)
    assert kind.__module__.startswith("transformers_modules.")
    return lambda training=False: kind.from_pretrained(folder, apply_spec_augment=False).train(training)


def logits(model):
    torch.manual_seed(0)  # the same dropout each time
    return model(WAVE).logits


@MODES
def test_hooks_of_every_leaf_run(load, training):
    model, called = load(training), set()
    expected = logits(model)
    for name in leaves(model):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: called.add(name))
    assert torch.equal(logits(model), expected)
    assert set(leaves(model)) == called


@MODES
def test_a_wrapper_around_any_linear_layer_or_convolution_takes_effect(load, training):
    model = load(training)
    expected = logits(model)
    for name in leaves(model, (nn.Linear, nn.Conv1d)):
        parent, leaf = place(model, name)
        inner = getattr(parent, leaf)
        setattr(parent, leaf, Flipped(inner))
        assert not torch.allclose(logits(model), expected, atol=1e-4), name
        setattr(parent, leaf, inner)
    assert torch.equal(logits(model), expected)


@MODES
def test_parametrised_and_pruned_weights_take_effect(load, training):
    model = load(training)
    expected = logits(model)
    for name in [name for name, part in model.named_modules() if "weight" in part._parameters]:
        layer = model.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", Reversed())
        assert not torch.allclose(logits(model), expected, atol=1e-5), name
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        prune.l1_unstructured(layer, "weight", amount=0.9)
        assert not torch.allclose(logits(model), expected, atol=1e-5), name
        layer.weight_mask = torch.ones_like(layer.weight_mask)  # and back
        prune.remove(layer, "weight")
    assert torch.equal(logits(model), expected)


def test_dynamic_quantisation_replaces_every_linear_layer(load):
    model = load()
    expected, linears = logits(model), leaves(model, nn.Linear)
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    assert linears and not leaves(quantised, nn.Linear)
    found = logits(quantised)
    assert not torch.equal(found, expected)
    assert (found - expected).norm() / expected.norm() < 0.1


@MODES
def test_peft_trains_adapters_of_every_linear_layer(load, training):
    peft = pytest.importorskip("peft", reason="the dev extra's peft is not installed")
    model = load(training)
    expected, targets = logits(model), leaves(model, nn.Linear)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    found = logits(adapted)
    assert not torch.allclose(found, expected, atol=1e-4)
    found.square().sum().backward()
    for name in targets:
        layer = adapted.base_model.model.get_submodule(name)
        assert layer.lora_A["default"].weight.grad.abs().sum() > 0, name
        assert layer.base_layer.weight.grad is None
