"""Does the fairseq model honour a stock recipe, or name the field that it cannot?"""

import pytest
import torch

pytest.importorskip("fairseq", reason="tests the fairseq model")

from tiny import MODEL

from fairseq_summarymixing.models import _speech_encoder
from fairseq_summarymixing.models._fields import parse_conv_layers
from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)
from fairseq_summarymixing.modules.build import MIXERS

TINY = dict(MODEL, dropout=0.0, attention_dropout=0.0)
LOG_MEL = dict(
    conv_feature_layers=Wav2Vec2SummaryMixingConfig.conv_feature_layers,
    conv_pos=128,
    conv_pos_groups=16,
    frontend="log_mel",
    mel_conv_layers="[(16, 3, 2), (24, 3, 1)]",
    encoder_layer="conformer",
    positions="sinusoidal",
    layer_norm_first=True,
    activation_fn="swish",
    depthwise_conv_kernel_size=5,
)


def build(**fields):
    return Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**{**TINY, "quantize_targets": True, **fields}))


@pytest.mark.parametrize(
    "field, value",
    [("quantize_input", True), ("layer_type", "conformer"), ("mask_selection", "uniform"), ("codebook_negatives", 5)],
)
def test_a_stock_field_that_is_not_offered_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"model.{field}={value} is not supported"):
        build(**{field: value})


def test_layers_of_the_other_front_end_are_refused():
    with pytest.raises(ValueError, match="model.conv_feature_layers has no effect with model.frontend=log_mel"):
        build(frontend="log_mel")
    with pytest.raises(ValueError, match="model.mel_conv_layers has no effect with model.frontend=waveform"):
        build(mel_conv_layers="[(8, 3, 2)]")
    with pytest.raises(ValueError, match="model.conv_pos has no effect with model.positions=sinusoidal, only"):
        build(positions="sinusoidal")
    with pytest.raises(ValueError, match="model.depthwise_conv_kernel_size has no effect with model.encoder_layer=tr"):
        build(depthwise_conv_kernel_size=15)


def test_conv_layers_are_read_without_running_code():
    text = "[(512, 10, 5)] + [(512, 3, 2)] * 2 + 1 * [(4, 2, 2)]"
    assert parse_conv_layers(text) == ((512, 10, 5), (512, 3, 2), (512, 3, 2), (4, 2, 2))
    for bad in ("__import__('os').getcwd()", "[(1, 2)]", "[]", "[(1, 2, 3)", "512", "[(1, 2, 'x')]"):
        with pytest.raises(ValueError, match="conv_feature_layers must be a list of at most 1000 layers"):
            parse_conv_layers(bad)


def test_fine_tuning_can_drop_what_only_pretraining_needs_and_still_load_the_whole_checkpoint():
    weights = build().state_dict()
    model = build()
    model.remove_pretraining_modules()
    model.load_state_dict(weights, strict=True)
    model.eval()
    result = model.extract_features(torch.randn(2, 8000), None)
    assert result["x"].shape == (2, 24, 32)
    assert result["padding_mask"] is None
    assert [tuple(layer[0].shape) for layer in result["layer_results"]] == [(24, 2, 32)] * 2
    assert model.encoder.layers[-1].embedding_dim == 32


@pytest.mark.parametrize("mixer", ["summary_mixing", "self_attention"])
@pytest.mark.parametrize("padded", [False, True])
def test_the_papers_model_gives_mp3s_its_hidden_states_without_pretraining_heads(mixer, padded):
    model = build(**LOG_MEL, mixer=mixer, encoder_layers=12)
    model.remove_pretraining_modules()
    model.eval()
    padding_mask = torch.zeros(2, 8000, dtype=torch.bool)
    padding_mask[1, 5000:] = padded
    source = torch.randn(2, 8000)
    states = model.extract_features(source, padding_mask)["hidden_states"]
    assert [tuple(state.shape) for state in states] == [(2, 26, 32)] * 13
    if not padded:  # a mask of nothing changes nothing
        torch.testing.assert_close(states, model.extract_features(source, None)["hidden_states"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frontend", ["waveform", "log_mel"])
def test_checkpointed_front_end_and_layers_give_the_same_gradients(frontend):
    fields = {**(LOG_MEL if frontend == "log_mel" else dict(extractor_mode="layer_norm")), "dropout": 0.1}
    gradients = []
    for checkpoint_activations in (False, True):
        torch.manual_seed(0)
        model = build(**fields, checkpoint_activations=checkpoint_activations)
        torch.manual_seed(1)
        source = torch.randn(2, 8000)
        model(source, utterance_seeds=[1, 2])["x"][:, 0].sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    torch.testing.assert_close(gradients[1], gradients[0])


def test_keeping_the_first_layers_alone():
    model = build()
    model.remove_pretraining_modules(last_layer=0)
    assert len(model.encoder.layers) == 1


def test_the_same_seeds_give_the_same_step_whatever_the_company():
    model = build(extractor_mode="layer_norm", require_same_masks=False, dropout=0.0).train()
    source = torch.randn(2, 8000)
    together = model(source, utterance_seeds=[5, 6])["x"]
    again = model(source, utterance_seeds=[5, 6])["x"]
    other = model(source, utterance_seeds=[7, 8])["x"]
    alone = model(source[1:], utterance_seeds=[6])["x"]
    assert torch.equal(together, again)
    assert other.shape != together.shape or not torch.equal(other, together)
    torch.testing.assert_close(together[-len(alone) :], alone, atol=1e-4, rtol=1e-4)


def test_without_seeds_pytorchs_generator_decides():
    model = build().train()
    source = torch.randn(2, 8000)
    torch.manual_seed(3)
    first = model(source)["x"]
    torch.manual_seed(3)
    assert torch.equal(model(source)["x"], first)


def test_feature_grad_mult_scales_the_front_ends_gradient():
    source, gradients = torch.randn(2, 8000), {}
    for factor in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        model = build(feature_grad_mult=factor)
        model(source, utterance_seeds=[1, 2])["x"][:, 0].sum().backward()
        gradients[factor] = model.feature_extractor.conv_layers[-1][0].weight.grad
    assert gradients[0.0] is None
    torch.testing.assert_close(gradients[0.5] * 2, gradients[1.0])


def test_alone_equals_padded_through_the_whole_model():
    for mixer in MIXERS:
        model = build(mixer=mixer, extractor_mode="layer_norm").eval()
        source = torch.randn(2, 8000)
        padding_mask = torch.zeros(2, 8000, dtype=torch.bool)
        padding_mask[1, 4321:] = True
        together = model.extract_features(source, padding_mask)["x"]
        alone = model.extract_features(source[1:, :4321], None)["x"]
        torch.testing.assert_close(together[1:, : alone.shape[1]], alone, atol=1e-5, rtol=0)


def test_utterances_too_short_to_mask_give_a_finite_loss_of_nothing():
    model = build(extractor_mode="layer_norm").train()
    net_output = model(torch.randn(2, 700))
    assert net_output["x"].shape == (0, 10)
    assert all(torch.isfinite(loss) for loss in model.get_extra_losses(net_output))
    mixed = torch.zeros(2, 8000, dtype=torch.bool)
    mixed[1, 700:] = True
    assert len(model(torch.randn(2, 8000), mixed)["x"]) > 0


def test_layers_are_compiled_when_training_begins_and_once(monkeypatch):
    compiled = []
    monkeypatch.setattr(_speech_encoder, "compile_layers", compiled.append)
    build().train()
    model = build(compile_layers=True)
    model.eval()
    assert compiled == []
    torch.nn.Sequential(model).train().train()  # as the model is called inside others
    assert compiled == [model.encoder]


@pytest.mark.skipif(not hasattr(torch.backends.cuda, "enable_cudnn_sdp"), reason="cuDNN's attention is in torch >= 2.5")
def test_training_with_self_attention_does_without_kernels_that_are_built_for_each_length():
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        build(mixer="summary_mixing").train()
        assert torch.backends.cuda.cudnn_sdp_enabled() == before
        build(mixer="self_attention").train()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
