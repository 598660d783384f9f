"""Does every field of a recipe do something, or is it refused by name? Asked of all fields, of every choice."""

import dataclasses
import logging
import math
from typing import Optional

import pytest

pytest.importorskip("fairseq", reason="tests the fairseq model")

import tiny
import torch
from fairseq import models

from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)
from fairseq_summarymixing.modules.build import MIXERS, Part
from fairseq_summarymixing.modules.choices import CHOICES, idle_fields
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig, ObjectiveConfig

FIELDS = {field.name: field for field in dataclasses.fields(Wav2Vec2SummaryMixingConfig) if field.name != "_name"}
MEL_CONV_LAYERS = "[(16, 3, 2), (24, 3, 1)]"
# Sizes and strengths at which every field that is read has something to do
BASE = dict(
    encoder_layers=1,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=48,
    encoder_attention_heads=4,
    final_dim=12,
    num_negatives=9,
    mask_channel_prob=0.5,
    mask_channel_length=4,
    dropout=0.1,
    dropout_input=0.1,
    dropout_features=0.1,
    activation_dropout=0.1,
    mask_length=5,
    require_same_masks=False,
)
# Of each choice that is made, what only that choice reads
OF_CHOICE = {
    "frontend=waveform": dict(conv_feature_layers=tiny.MODEL["conv_feature_layers"]),
    "frontend=log_mel": dict(mel_conv_layers=MEL_CONV_LAYERS),
    "positions=conv": dict(conv_pos=16, conv_pos_groups=4),
    "quantize_targets=True": dict(latent_vars=6),
}
# Another value than the default, where it is not the next number, the opposite or another choice
OTHER = dict(
    conv_feature_layers="[(24, 10, 5)] + [(24, 3, 2)] * 4 + [(24, 2, 2)] * 2",
    mel_conv_layers="[(24, 5, 2)]",
    latent_temp=(1.0, 0.5, 0.9),
    encoder_attention_heads=2,
    final_dim=20,
    latent_dim=8,
    encoder_embed_dim=64,
    summary_hidden_dim=64,
    activation_fn="relu",
    extractor_mode="layer_norm",
    layer_type="conformer",
    mask_selection="uniform",
    mask_channel_selection="uniform",
    attn_type="espnet",
    pos_enc_type="rope",
    adp_act_fn="gelu",
    adp_trf_idx="0,2",
    depthwise_conv_kernel_size=5,
    conv_pos_groups=8,
    latent_groups=3,
    init_from="checkpoint.pt",
)

# common.fp16 is read; fairseq's command line without hydra sets the model's field of that name too
INERT = {"fp16"}


def other_value(name, given):
    """A valid value that is neither the default nor the one given."""
    if name in OTHER:
        return OTHER[name]
    if name in CHOICES:
        return next(value for value in CHOICES[name] if value != given[name])
    value = given.get(name, FIELDS[name].default)
    if isinstance(value, bool):
        return not value
    return value + 3 if isinstance(value, int) and FIELDS[name].type is int else 0.3


def make(**fields):
    torch.manual_seed(0)
    return Wav2Vec2SummaryMixingModel.build_model(Wav2Vec2SummaryMixingConfig(**fields), task=None)


def behaviour(model):
    """All that a model computes in one training step and in evaluation, and how each of its modules is set."""
    settings = {
        name: {key: value for key, value in vars(module).items() if isinstance(value, (bool, int, float, str, tuple))}
        for name, module in model.named_modules()
    }
    source, padding_mask = torch.randn(2, 9000), torch.zeros(2, 9000, dtype=torch.bool)
    padding_mask[1, 8000:] = True
    torch.manual_seed(1)
    output = model.train()(source, padding_mask, utterance_seeds=[1, 2])
    losses = [output["x"][:, 0].mean(), *model.get_extra_losses(output)]
    sum(losses).backward()
    first = next(iter(model.feature_extractor.parameters())).grad
    return settings, [loss.item() for loss in losses], None if first is None else first.norm().item(), output["x"].shape


CHOSEN = [{}] + [{choice: value} for choice, values in CHOICES.items() for value in values]


@pytest.mark.parametrize(
    "chosen", CHOSEN, ids=lambda choice: " ".join(f"{key}={value}" for key, value in choice.items())
)
def test_every_field_changes_the_model_or_is_refused_by_name(chosen):
    usual = dict(frontend="waveform", mixer="summary_mixing", encoder_layer="transformer", positions="conv")
    chosen = {**usual, "quantize_targets": True, **chosen}
    given = {**BASE, **chosen}
    for choice, value in chosen.items():
        given.update(OF_CHOICE.get(f"{choice}={value}", {}))
    plain = behaviour(make(**given))
    assert behaviour(make(**given)) == plain, "two runs of the same fields differ"
    ignored = []
    for name in FIELDS:
        if name in CHOICES:
            continue
        try:
            changed = behaviour(make(**{**given, name: other_value(name, given)}))
        except ValueError as error:
            assert name in str(error), f"{name} is refused without its name: {error}"
        else:
            if changed == plain:
                ignored.append(name)
    assert set(ignored) == INERT


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            dict(mixer="self_attention", summary_hidden_dim=32),
            "summary_hidden_dim has no effect with model.mixer=self_att",
        ),
        (dict(mixer="self_attention", summary_branch_norm=False), "model.summary_branch_norm has no effect"),
        (
            dict(mixer="summary_mixing_lite", attention_dropout=0.3),
            "model.attention_dropout has no effect .* only with",
        ),
        (dict(mixer="summary_mixing_lite", summary_branch_norm=False), "model.summary_branch_norm has no effect"),
        (dict(mixer="summary_mixing_lite", summary_hidden_dim=32), "model.summary_hidden_dim has no effect"),
        (dict(required_seq_len_multiple=8), "model.required_seq_len_multiple=8 is not supported"),
        (dict(max_positions=7), "model.max_positions=7 is not supported"),
        pytest.param(
            dict(adp_dim=7),
            "model.adp_dim=7 is not supported",
            marks=pytest.mark.skipif("adp_dim" not in FIELDS, reason="fairseq 0.12.2 has no adapters"),
        ),
        (dict(quantizer_factor=7), "model.quantizer_factor=7 is not supported"),
        (dict(mask_min_space=7), "model.mask_min_space=7 is not supported"),
    ],
    ids=str,
)
def test_what_would_be_ignored_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make(**{**BASE, **fields})


def test_what_asks_for_nothing_else_is_accepted():
    lite = dict(BASE, mixer="summary_mixing_lite")
    make(**lite, attention_dropout=0.1)  # the default
    make(**lite, attention_dropout=0.0)  # nothing is dropped
    make(**BASE, fp16=True, required_seq_len_multiple=1)  # what fairseq's command line without hydra writes there


def test_an_option_of_a_new_mixer_belongs_to_it_by_its_line_in_the_table(monkeypatch):
    line = Part(torch.nn.Linear, in_features="encoder_embed_dim", out_features="encoder_embed_dim", bias="linear_bias")
    monkeypatch.setitem(MIXERS, "linear", line)
    idle = idle_fields(Wav2Vec2SummaryMixingConfig(mixer="linear"))
    assert idle["attention_dropout"] == "mixer" and "linear_bias" not in idle
    assert idle_fields(Wav2Vec2SummaryMixingConfig())["linear_bias"] == "mixer"


NUMBERS = [
    (config, field.name, field.type)
    for config in (FrontendConfig, EncoderConfig, ObjectiveConfig)
    for field in dataclasses.fields(config)
    if field.type in (int, float, Optional[int])
]


@pytest.mark.parametrize("config, name, kind", NUMBERS, ids=lambda value: value if isinstance(value, str) else "")
def test_numbers_out_of_range_are_refused_by_name(config, name, kind):
    wrong = [-1, math.nan, math.inf] if kind is float else [-1]
    if "drop" in name or name.endswith("_prob"):
        wrong.append(1.01)
    if name not in ("final_dim", "latent_dim") and kind is not float:
        wrong.append(0)
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{name} must .*; got {value}"):
            config(**{name: value})


@pytest.mark.parametrize("value", [(2, 0.5), (0.0, 0.5, 0.9), (2, math.nan, 0.9), (2, 0.5, 1.1), (math.inf, 0.5, 0.9)])
def test_temperatures_that_cannot_be_used_are_refused(value):
    with pytest.raises(ValueError, match="latent_temp must be .start, end, decay"):
        ObjectiveConfig(latent_temp=value)


def build_for_checkpoint(**fields):
    """As fairseq builds the model of a checkpoint, whatever the task: by its registry."""
    from omegaconf import OmegaConf

    cfg = OmegaConf.structured(Wav2Vec2SummaryMixingConfig(_name="wav2vec2_summarymixing", **{**BASE, **fields}))
    return models.build_model(cfg, None, True)  # as it is once our models are imported


def test_a_checkpoint_whose_training_ignored_a_field_is_read_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        model = build_for_checkpoint(mixer="self_attention", summary_hidden_dim=16, max_positions=7)
    assert "model.summary_hidden_dim has no effect with model.mixer=self_attention" in caplog.text
    assert set(model.state_dict()) == set(make(**BASE, mixer="self_attention").state_dict())
    with pytest.raises(ValueError, match="crop_seq_to_multiple=4 is not supported"):  # outputs would differ
        build_for_checkpoint(crop_seq_to_multiple=4)
    with pytest.raises(ValueError, match="max_positions=7 is not supported"):  # and it is over
        make(**BASE, max_positions=7)


def test_the_fields_that_fine_tuning_writes_into_the_pretrained_models_configuration_are_all_read_or_its_defaults():
    """fairseq's wav2vec_ctc overrides by name (Wav2VecEncoder.__init__), also where its own recipe sets nothing."""
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig

    defaults = {field.name: field.default for field in dataclasses.fields(Wav2Vec2CtcConfig) if field.name in FIELDS}
    for mixer in MIXERS:
        build_for_checkpoint(mixer=mixer, **{**defaults, "encoder_layerdrop": 0.1})


@pytest.mark.parametrize("recipe", ["base", "large"])
def test_stocks_published_recipes_need_another_name_alone(recipe):
    """fairseq's wav2vec2_base_librispeech.yaml and wav2vec2_large_librivox.yaml, their model sections."""
    common = dict(quantize_targets=True)
    recipes = {
        "base": dict(
            final_dim=256,
            encoder_layerdrop=0.05,
            dropout_input=0.1,
            dropout_features=0.1,
            feature_grad_mult=0.1,
            encoder_embed_dim=768,
        ),
        "large": dict(
            extractor_mode="layer_norm",
            layer_norm_first=True,
            final_dim=768,
            latent_temp=[2.0, 0.1, 0.999995],
            encoder_layerdrop=0.0,
            dropout_input=0.0,
            dropout_features=0.0,
            dropout=0.0,
            attention_dropout=0.0,
            conv_bias=True,
            encoder_layers=24,
            encoder_embed_dim=1024,
            encoder_ffn_embed_dim=4096,
            encoder_attention_heads=16,
            feature_grad_mult=1.0,
        ),
    }
    with torch.device("meta"):
        for mixer in MIXERS:
            make(**common, **recipes[recipe], mixer=mixer)
